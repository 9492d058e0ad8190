"""A job in figures: read once (`read`), computed (`figures`), shown as text (`words`) or as one HTML file (`page`)."""
