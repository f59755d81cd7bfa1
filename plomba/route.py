"""`plomba route import`: prescribed roads; the rest is as in `plomba zone import`."""

from plomba.centre import DATA, DataOption, JsonOption
from plomba.zone import FileArgument, import_shapes


def import_routes(
    file: FileArgument, as_json: JsonOption = False, data_dir: DataOption = DATA
) -> None:
    """Replace all routes by those of a file: a new version of the rules, valid from now on. Exit 6 if it has a fault.

    Polygons and circles in the file are zones and left alone.
    """
    import_shapes(file, "routes", as_json=as_json, data_dir=data_dir)
