"""`overread submit` with a few files to a request, so that faults meet it in the middle."""

from cli.main import main
from cli.submit import send

FILES_A_REQUEST = 6

if __name__ == "__main__":
    send.BATCH_FILES = FILES_A_REQUEST
    main()
