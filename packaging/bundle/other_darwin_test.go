package bundle

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// otherPlist reads a property list with Apple's plutil, and writes it anew.
func otherPlist(t *testing.T, path string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	if text, err := exec.CommandContext(t.Context(), "plutil", "-convert", "binary1", "-o", out, path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestIconElsewhere: Apple's iconutil takes the icon apart.
func TestIconElsewhere(t *testing.T) {
	b, err := Icon(picture(t, 512))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "app.icns")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	set := filepath.Join(dir, "app.iconset")
	if out, err := exec.CommandContext(t.Context(), "iconutil", "--convert", "iconset", "--output", set, path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{"icon_16x16.png", "icon_32x32.png", "icon_128x128.png", "icon_256x256.png", "icon_512x512.png"} {
		if _, err := os.Stat(filepath.Join(set, name)); err != nil {
			t.Error(err)
		}
	}
}
