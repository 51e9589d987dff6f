"""Frozen dataclasses whose objects are made as fast as ordinary ones.

The `__init__` that `dataclasses` writes for a frozen class calls `object.__setattr__` for each field, which takes five
times as long as an assignment, and `dataclasses.replace` looks each field up by its name. A request makes some thirty
such objects, and that was a tenth of its time. What is written here assigns: while it runs, the object is of a twin
class with the same slots that forbids nothing. Nobody else sees the twin, and from then on the object is as frozen as
any other.

Type checkers see `dataclasses.dataclass` and `dataclasses.replace` themselves. A class needs `frozen`, `kw_only` and
`slots`; its defaults are values, and it has no `__post_init__`. `replace` is for objects of these classes alone.
"""

from typing import TYPE_CHECKING

__all__ = ["dataclass", "replace"]

if TYPE_CHECKING:
    from dataclasses import dataclass, replace
else:
    import dataclasses

    def dataclass(*, frozen, kw_only, slots):
        """`dataclasses.dataclass`, with all three True."""
        if not (frozen and kw_only and slots):
            raise TypeError("this dataclass is for frozen=True, kw_only=True, slots=True")

        def decorate(cls):
            made = dataclasses.dataclass(frozen=True, kw_only=True, slots=True)(cls)
            plain = all(
                field.init and field.default_factory is dataclasses.MISSING for field in dataclasses.fields(made)
            )
            if not plain or hasattr(made, "__post_init__"):
                raise TypeError(f"{made.__name__}: defaults must be values, and there is no __post_init__")
            _write_methods(made)
            return made

        return decorate

    def replace(instance, /, **changes):
        """`dataclasses.replace`."""
        return instance.__replace__(**changes)

    def _write_methods(made):
        names = [field.name for field in dataclasses.fields(made)]
        text = [
            f"def __init__(self, *, {', '.join(names)}):",
            "  _set(self, '__class__', _Twin)",
            *(f"  self.{name} = {name}" for name in names),
            "  self.__class__ = _Frozen",
            "def __replace__(self, /, **changes):  # what copy.replace of Python 3.13 calls",
            "  if self.__class__ is not _Frozen:  # a subclass",
            "    return _replace(self, **changes)",
            "  new = _new(_Twin)",
            *(f"  new.{name} = self.{name}" for name in names),
            "  for name, value in changes.items():",
            "    setattr(new, name, value)",
            "  new.__class__ = _Frozen",
            "  return new",
        ]
        twin = type(made.__name__, (), {"__slots__": made.__slots__})
        space = {"_Twin": twin, "_Frozen": made, "_set": object.__setattr__, "_new": object.__new__}
        space["_replace"] = dataclasses.replace
        exec("\n".join(text), space)
        init = space["__init__"]
        init.__kwdefaults__ = {
            field.name: field.default for field in dataclasses.fields(made) if field.default is not dataclasses.MISSING
        }
        init.__qualname__, init.__annotations__ = made.__init__.__qualname__, made.__init__.__annotations__
        made.__init__, made.__replace__ = init, space["__replace__"]
