"""The class of option classes: wrong options in Python are one line, as in chain files; `help` shows the options."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from odekit.core.option_docs import described, signature_of
from odekit.core.option_errors import describe_error
from odekit.errors import OptionError

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass

    OptionClass = ModelMetaclass
else:

    class OptionClass(type(BaseModel)):
        """Metaclass of `Options`."""

        def __call__(cls, *args: Any, **values: Any) -> Any:
            """Create options. Raises OptionError for the first value that is wrong."""
            if args and cls.__init__ is BaseModel.__init__:
                first = next(iter(cls.model_fields), "option")
                raise OptionError(f"{cls.__name__}: options are given by name, such as {cls.__name__}({first}=...)")
            try:
                return super().__call__(*args, **values)
            except ValidationError as error:
                path, message = describe_error(error, cls, values, cls.__name__)
                where = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
            raise OptionError(f"{cls.__name__}{where}: {message}")

        def __dir__(cls) -> list[str]:
            """The options and what odekit adds; not the machinery of pydantic."""
            own = [base for base in cls.__mro__ if base is not BaseModel and issubclass(base, BaseModel)]
            names = {name for base in own for name in vars(base) if not name.startswith("_")} | set(cls.model_fields)
            return sorted(names - {"model_config"})

        @property
        def __signature__(cls) -> inspect.Signature:
            """Options by name, with their defaults."""
            return signature_of(cls)

        @__signature__.setter
        def __signature__(cls, value: object) -> None:
            """Pydantic sets its own, which repeats the types and validators."""

        @property
        def __doc__(cls) -> str | None:
            """The docstring with the options, their types and defaults."""
            text = cls.__dict__.get("__doc__")
            return described(cls, text) if isinstance(text, str) and cls.model_fields else text
