"""A project and one of its stacks: everything a run is given. `Project.load` is the only reader of the project file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from local.engine.codec import Secret
from local.engine.errors import ConfigError, SecretsError, UsageError
from local.engine.secrets import Crypter
from local.engine.snapshot import Snapshot
from local.engine.stack_file import Placeholders, config_values, read_stack_file, read_yaml, set_secret

PLUGINS: Final = Path(__file__).resolve().parents[1] / "plugins"
OFFLINE_VARIABLE: Final = "PULUMI_STANDIN_OFFLINE"


@dataclass(frozen=True)
class Project:
    """What is deployed, with what, and where its state is."""

    name: str
    stack: str
    root: Path  # the project file's folder
    main: Path  # the folder of the program's __main__.py
    config: Mapping[str, str | Secret]
    state_file: Path
    plugin_dirs: Mapping[str, Path]
    environment: Mapping[str, str]  # added to ours, for the program and the plugins
    passphrase: str | None = field(default=None, repr=False)
    salt: str | None = None  # of the stack file; the state's own, if it has one, wins
    offline: Path | None = None  # placeholders: only previews then

    @classmethod
    def load(
        cls,
        project_file: Path,
        stack_file: Path,
        state_root: Path,
        *,
        passphrase: str | None,
        environment: Mapping[str, str],
        offline: Path | None = None,
    ) -> Project:
        """Read both files. The stack's name is in `Pulumi.<stack>.yaml`; state is under `state_root/.pulumi`."""
        body = read_yaml(project_file, "project file")
        name = body.get("name")
        if not isinstance(name, str) or not name:
            raise ConfigError(f"{project_file}: name must be the project's name, got {name!r}.")
        stack = _stack_name(stack_file)
        root = project_file.resolve().parent
        main = (root / str(body.get("main") or ".")).resolve()
        if not (main / "__main__.py").is_file():
            raise ConfigError(f"{project_file}: there is no program: {main}/__main__.py does not exist.")
        settings = read_stack_file(stack_file)
        salt = settings.get("encryptionsalt")
        if offline:
            placeholders = Placeholders(offline, name)
            config = config_values(settings, stack_file.name, name, placeholders.unseal)
            config |= placeholders.absent(config)
            environment = {**environment, OFFLINE_VARIABLE: str(offline.resolve())}
        else:
            config = config_values(settings, stack_file.name, name, _Unsealer(passphrase, salt, stack_file).unseal)
        return cls(
            name=name,
            stack=stack,
            root=root,
            main=main,
            config=config,
            state_file=state_root / ".pulumi" / "stacks" / name / f"{stack}.json",
            plugin_dirs=_plugin_dirs(body, root, project_file),
            environment=dict(environment),
            passphrase=passphrase,
            salt=salt,
            offline=offline,
        )

    def refuse_offline(self) -> None:
        """Raise `UsageError` when this is an offline project: placeholders are good for a preview, and nothing else."""
        if self.offline:
            raise UsageError(
                f"stack {self.stack} is opened offline, with placeholders from {self.offline.name}: it can be "
                f"previewed, and nothing else. Use the real CLI for it, like: pulumi up -s {self.stack}"
            )

    def snapshot(self) -> Snapshot:
        """The stack's state, read from its file."""
        return Snapshot(self.state_file, self.name, self.stack, self.passphrase, self.salt)

    def other_stack_outputs(self, name: str) -> dict[str, Any] | None:
        """The outputs of another stack in the same place (`organization/project/stack`, or shorter)."""
        *before, stack = name.split("/")
        project = before[-1] if len(before) == 2 else self.name
        path = self.state_file.parents[1] / project / f"{stack}.json"
        if not path.exists():
            return None
        return stack_outputs(Snapshot(path, project, stack, self.passphrase, self.salt))


def stack_outputs(snapshot: Snapshot) -> dict[str, Any]:
    """The outputs the stack was left with; secrets are marked."""
    from local.engine.urn import STACK_TYPE

    root = next((r for r in snapshot.resources if r.type == STACK_TYPE), None)
    return dict(root.outputs) if root else {}


def _stack_name(stack_file: Path) -> str:
    parts = stack_file.name.split(".")
    if len(parts) < 3 or parts[0] != "Pulumi" or parts[-1] not in ("yaml", "yml"):
        raise ConfigError(f"{stack_file.name} is not the name of a stack file; expected Pulumi.<stack>.yaml.")
    return ".".join(parts[1:-1])


def _plugin_dirs(body: Mapping[str, Any], root: Path, file: Path) -> dict[str, Path]:
    """The declared plugins; a project without a plugins section (the real one) gets all of `local/plugins`."""
    if "plugins" not in body:
        executables = PLUGINS.glob("*/pulumi-resource-*")
        return {path.name.removeprefix("pulumi-resource-"): path.parent for path in executables}
    try:
        entries = {str(entry["name"]): (root / entry["path"]).resolve() for entry in body["plugins"]["providers"]}
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"{file}: plugins.providers must be a list of {{name: <package>, path: <folder>}} ({error!r})."
        ) from error
    for package, folder in entries.items():
        if not folder.is_dir():
            raise ConfigError(f"{file}: plugins.providers: {folder} (plugin {package}) is not a folder.")
    return entries


class _Unsealer:
    """Opens the stack file's secrets; the key is derived when the first one is met."""

    def __init__(self, passphrase: str | None, salt: str | None, file: Path) -> None:
        self._passphrase, self._salt, self._file = passphrase, salt, file
        self._crypter: Crypter | None = None

    def unseal(self, key: str, ciphertext: str) -> str:
        if self._crypter is None:
            if not self._salt:
                raise SecretsError(f"{self._file.name}: {key} is secret, but there is no encryptionsalt. Set it again.")
            if self._passphrase is None:
                raise SecretsError(f"{self._file.name}: {key} is secret; set PULUMI_CONFIG_PASSPHRASE to read it.")
            self._crypter = Crypter(self._passphrase, self._salt)
        return self._crypter.decrypt(ciphertext, f"{self._file.name}: {key}")


__all__ = ["Project", "set_secret", "stack_outputs"]
