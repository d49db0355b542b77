package fsx

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestVolumeSyncs: the sync asks the kernel, and passes on what it says.
func TestVolumeSyncs(t *testing.T) {
	t.Parallel()
	v, err := (*FS)(nil).OpenVolume(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Sync(); err != nil {
		t.Error(err)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	if err := v.Sync(); !errors.Is(err, unix.EBADF) && !errors.Is(err, os.ErrClosed) {
		t.Errorf("of a volume that was closed: %v", err)
	}
}
