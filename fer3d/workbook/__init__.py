import sys

# nbformat loads jsonschema, which spends most of a second on grammars of web addresses where it finds this package.
# Notebooks are not checked for these.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
