"""Recording, which is never done: `helpers.is_live_and_not_recording` is asked first."""

from devtools_testutils import _nothing

get_test_id = start_record_or_playback = transform_request = stop_record_or_playback = _nothing
