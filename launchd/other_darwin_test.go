package launchd

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// elsewhere converts a property list with Apple's plutil.
func elsewhere(t *testing.T, b []byte, format string) []byte {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := os.WriteFile(in, b, 0o600); err != nil {
		t.Fatal(err)
	}
	name := map[string]string{"bin": "binary1", "xml": "xml1"}[format]
	if text, err := exec.CommandContext(t.Context(), plutil, "-convert", name, "-o", out, in).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	converted, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return converted
}
