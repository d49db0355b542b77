package engine_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/repository"
	"maia-dr/engine/vault"
)

// TestMarkersInText: a file of the code that only speaks of markers is no failed drill, and is named; nor is a property list that
// has no dictionary at its top.
func TestMarkersInText(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	write(t, filepath.Join(r.fix.Root, "about-backups.md"), []byte("A redacted copy says "+vault.Placeholder+"EXAMPLE instead.\n"))
	write(t, filepath.Join(r.fix.Root, "bare.md"), []byte("It begins with "+vault.Placeholder+" and a name.\n"))
	write(t, filepath.Join(r.fix.Root, "list.plist"), []byte(`<?xml version="1.0"?><plist version="1.0"><array><string>x</string></array></plist>`))
	if _, err := r.sealed(testPassword); err != nil {
		t.Fatal(err)
	}
	res, err := r.drill(engine.DrillOptions{})
	if err != nil || !res.Passed {
		t.Fatalf("%+v, %v", res, err)
	}
	if len(res.Warnings) != 1 || res.Warnings[0].Code != "marker_left" || res.Warnings[0].Path != "about-backups.md" {
		t.Errorf("%+v", res.Warnings)
	}
	// One with the name of a secret in the vault is one that stands in its place.
	name := ""
	for _, p := range r.planted() {
		if marker := vault.Placeholder + p.Name; p.Name != "" && !strings.ContainsAny(marker, " \n") {
			name = p.Name
			break
		}
	}
	write(t, filepath.Join(r.fix.Root, "about-backups.md"), []byte("key = "+vault.Placeholder+name+"\n"))
	if _, err := r.sealed(testPassword); err != nil {
		t.Fatal(err)
	}
	if res, err = r.drill(engine.DrillOptions{}); err != nil || res.Passed || !slices.ContainsFunc(res.Problems, func(p string) bool { return strings.HasPrefix(p, "about-backups.md: ") }) {
		t.Errorf("%s: %+v, %v", name, res, err)
	}
	if slices.ContainsFunc(res.Warnings, func(w repository.Warning) bool { return w.Code == "marker_left" }) {
		t.Errorf("%+v", res.Warnings)
	}
}

// TestFindMarker: wherever it stands, also across the pieces that are read.
func TestFindMarker(t *testing.T) {
	t.Parallel()
	const piece = 256 << 10
	path := filepath.Join(t.TempDir(), "file")
	fill := func(n int) string { return strings.Repeat("x", n) }
	for _, at := range []int{0, 1, piece - 30, piece - 20, piece - 16, piece - 12, piece - 11, piece - 10, piece - 5, piece - 1, piece, piece + 1, 2*piece - 256 - 12, 2*piece - 11, 3 * piece} {
		for _, after := range []string{"", "\n", "\n" + fill(2*piece)} {
			write(t, path, []byte(fill(at)+vault.Placeholder+"A_NAME"+after))
			if got, err := engine.FindMarker(path); err != nil || got != "A_NAME" {
				t.Errorf("at %d, %d bytes behind it: %q, %v", at, len(after), got, err)
			}
		}
	}
	for _, none := range []string{"", fill(3 * piece), vault.Placeholder, fill(piece-11) + vault.Placeholder + "\n" + fill(piece), "MAIA-VAULT A_NAME"} {
		write(t, path, []byte(none))
		if got, err := engine.FindMarker(path); err != nil || got != "" {
			t.Errorf("%d bytes: %q, %v", len(none), got, err)
		}
	}
}
