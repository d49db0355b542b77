package cli

import (
	"io"
	"os"
)

// openTTY opens the process's terminal: questions go there even when the streams are redirected.
func openTTY() (io.ReadWriteCloser, error) { return os.OpenFile("/dev/tty", os.O_RDWR, 0) }
