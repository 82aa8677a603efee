"""`python -m movierec_assets`: the commands of `movierec`, where no script is installed."""

from movierec_assets.cli.app import main

if __name__ == "__main__":
    main()
