"""A Lua as Argo CD has it: version 5.1, with the few libraries that its interpreter had from the first."""

from typing import Any

from lupa.lua51 import LuaRuntime, lua_type

GIVEN = {"_G", "_VERSION", "ipairs", "pairs", "next", "type", "tostring", "tonumber", "table", "select", "unpack", "error", "assert"}
"""No `string` and no `math`: those came late."""


def run(script: str, manifest: dict[str, Any]) -> Any:
    """Run a script with `obj`, and give what it returns as it would be written as JSON."""
    lua = LuaRuntime(unpack_returned_tuples=True)
    for name in set(lua.globals()) - GIVEN:
        lua.globals()[name] = None
    lua.globals().obj = lua.table_from(manifest, recursive=True)
    return _read(lua.execute(script))


def _read(value: Any) -> Any:
    if lua_type(value) != "table":
        return int(value) if isinstance(value, float) and value.is_integer() else value
    keys = list(value)
    if keys and keys == list(range(1, len(keys) + 1)):
        return [_read(value[key]) for key in keys]
    return {key: _read(value[key]) for key in keys}
