"""`python -m invertdesc`."""

from invertdesc.cli import main

if __name__ == "__main__":
    main()
