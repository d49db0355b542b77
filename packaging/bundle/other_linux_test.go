package bundle

import (
	"bytes"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// otherPlist reads a property list with libplist, and writes it anew.
func otherPlist(t *testing.T, path string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	if text, err := exec.CommandContext(t.Context(), "plistutil", "-i", path, "-o", out, "-f", "bin").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	b, err := os.ReadFile(out) // plistutil exits with 0 on errors, too
	if err != nil || len(b) == 0 {
		t.Fatalf("plistutil read nothing: %v", err)
	}
	return b
}

// TestIconElsewhere: libicns sees what the picture looks like in each size that it knows.
func TestIconElsewhere(t *testing.T) {
	source := picture(t, 512)
	b, err := Icon(source)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "app.icns"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "icns2png", "--extract", "--output", dir, filepath.Join(dir, "app.icns")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, side := range map[string]int{
		"app_16x16x32.png": 16, "app_32x32x32.png": 32, "app_256x256x32.png": 256, "app_512x512x32.png": 512,
	} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%v\n%s", err, out)
			continue
		}
		m, err := png.Decode(bytes.NewReader(b))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		near(t, name, m, sampled(t, source, side), side)
	}
}
