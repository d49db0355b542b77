package state

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"maia-dr/engine/fsx"
)

// What is somebody else's is told apart from what is ours, in a folder that has both.
func TestContents(t *testing.T) {
	d := Dir{Path: filepath.Join(t.TempDir(), "state")}
	if owned, foreign, err := d.Contents(); err != nil || len(owned)+len(foreign) > 0 {
		t.Errorf("%q, %q, %v", owned, foreign, err)
	}
	if err := d.Create(); err != nil {
		t.Fatal(err)
	}
	put := func(names ...string) {
		t.Helper()
		for _, name := range names {
			path := filepath.Join(d.Path, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := func(owned, foreign []string) {
		t.Helper()
		o, f, err := d.Contents()
		slices.Sort(o)
		slices.Sort(f)
		if err != nil || !slices.Equal(o, owned) || !slices.Equal(f, foreign) {
			t.Errorf("ours are %q, others' %q, %v", o, f, err)
		}
	}
	put("status.json", "log/maia-dr.log", "log/schedule-2026-01-01.log", "mirror/chunks/x", "mirror/full_20260101_030000/y", "terminal/maia-dr restore.command", "x"+fsx.TempSuffix)
	ours := []string{"log", "log/maia-dr.log", "log/schedule-2026-01-01.log", "mirror", "scratch", "staging", "status.json", "terminal", "terminal/maia-dr restore.command", "x" + fsx.TempSuffix}
	want(ours, nil)
	put("letter.txt", "log/captain.txt", "terminal/mine", "Documents/thesis.txt", "mirror/silver.jpg")
	ours = slices.DeleteFunc(ours, func(s string) bool { return s == "log" || s == "mirror" || s == "terminal" })
	want(ours, []string{"Documents", "letter.txt", "log/captain.txt", "mirror", "terminal/mine"})
}
