package launchd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// The tool gets the process it watches, and is gone after release.
func TestKeepAwake(t *testing.T) {
	dir := t.TempDir()
	tool, said := filepath.Join(dir, "caffeinate"), filepath.Join(dir, "said")
	if err := syscall.Mkfifo(said, 0o600); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\necho $$ \"$@\" > '%s'\nexec sleep 600\n", said)
	if err := os.WriteFile(tool, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	release, err := keepAwake(t.Context(), tool, 4711)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(said) // waits for it
	if err != nil {
		t.Fatal(err)
	}
	var pid, watched int
	if _, err := fmt.Sscanf(string(b), "%d -i -w %d\n", &pid, &watched); err != nil || watched != 4711 {
		t.Errorf("%q: %v", b, err)
	}
	release()
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("it still runs: %v", err)
	}
	release, err = keepAwake(t.Context(), filepath.Join(dir, "none"), 1)
	if release(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
