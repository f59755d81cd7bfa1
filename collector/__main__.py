"""Start of the program: `python -m collector`, the same as `plomba collector run` without options."""

from collector.app.run import main

if __name__ == "__main__":
    raise SystemExit(main())
