"""What NumPy has removed, by name: the release without it, and what to write.

The releases are those of NumPy's release notes, compared with what 2.4 has. `numpy.bool` and `numpy.long` are left
out: 1.24 removed them, and 2.0 brought them back.
"""

from __future__ import annotations

REMOVED: dict[str, tuple[str, str]] = {
    # Aliases of Python's own types
    **{name: ("1.24", name) for name in ("complex", "float", "int", "object", "str")},
    "unicode": ("1.24", "str"),
    # Other spellings
    "Inf": ("2.0", "{np}.inf"),
    "Infinity": ("2.0", "{np}.inf"),
    "NAN": ("2.0", "{np}.nan"),
    "NINF": ("2.0", "-{np}.inf"),
    "NaN": ("2.0", "{np}.nan"),
    "PINF": ("2.0", "{np}.inf"),
    "alltrue": ("2.0", "{np}.all"),
    "bool8": ("2.0", "{np}.bool_"),
    "cfloat": ("2.0", "{np}.complex128"),
    "complex_": ("2.0", "{np}.complex128"),
    "cumproduct": ("2.0", "{np}.cumprod"),
    "float_": ("2.0", "{np}.float64"),
    "in1d": ("2.4", "{np}.isin"),
    "infty": ("2.0", "{np}.inf"),
    "int0": ("2.0", "{np}.intp"),
    "longfloat": ("2.0", "{np}.longdouble"),
    "mat": ("2.0", "{np}.asmatrix"),
    "object0": ("2.0", "{np}.object_"),
    "product": ("2.0", "{np}.prod"),
    "round_": ("2.0", "{np}.round"),
    "singlecomplex": ("2.0", "{np}.complex64"),
    "sometrue": ("2.0", "{np}.any"),
    "string_": ("2.0", "{np}.bytes_"),
    "trapz": ("2.4", "{np}.trapezoid"),
    "uint0": ("2.0", "{np}.uintp"),
    "unicode_": ("2.0", "{np}.str_"),
}
