package launchd

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// elsewhere converts a property list with libplist's plistutil, which exits with 0 on errors too.
func elsewhere(t *testing.T, b []byte, format string) []byte {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := os.WriteFile(in, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.CommandContext(context.Background(), "plistutil", "-i", in, "-o", out, "-f", format).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	converted, err := os.ReadFile(out)
	if err != nil || len(converted) == 0 {
		t.Fatalf("plistutil read nothing: %v", err)
	}
	return converted
}
