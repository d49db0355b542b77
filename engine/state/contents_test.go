package state

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	put("status.json", "log/maia-dr.log", "log/schedule-2026-01-01.log", "mirror/chunks/x", "mirror/full_20260101_030000/y", "terminal/maia-dr restore.command", ".status.json.123"+fsx.TempSuffix)
	ours := []string{".status.json.123" + fsx.TempSuffix, "log", "log/maia-dr.log", "log/schedule-2026-01-01.log", "mirror", "scratch", "staging", "status.json", "terminal", "terminal/maia-dr restore.command"}
	want(ours, nil)
	put("letter.txt", "log/captain.txt", "terminal/mine", "Documents/thesis.txt", "mirror/silver.jpg")
	ours = slices.DeleteFunc(ours, func(s string) bool { return s == "log" || s == "mirror" || s == "terminal" })
	want(ours, []string{"Documents", "letter.txt", "log/captain.txt", "mirror", "terminal/mine"})
}

// In a folder that has other things in it, names that anybody may choose say nothing by themselves.
func TestContentsInAHome(t *testing.T) {
	d := Dir{Path: t.TempDir()}
	if err := d.Create(); err != nil {
		t.Fatal(err)
	}
	put := func(names ...string) {
		t.Helper()
		for _, name := range names {
			path := filepath.Join(d.Path, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	owned := func(name string, want bool) {
		t.Helper()
		o, f, err := d.Contents()
		if err != nil || slices.Contains(o, name) != want || slices.Contains(f, name) == want {
			t.Errorf("%s: owned %q, foreign %q, %v; want %t", name, o, f, err, want)
		}
	}
	put("thesis.tmp", ".thesis.odt.17.tmp", ".status.json.tmp", ".status.json.draft.tmp", "status.json.17.tmp", ".sync.json.17.tmp/letter")
	for _, name := range []string{"thesis.tmp", ".thesis.odt.17.tmp", ".status.json.tmp", ".status.json.draft.tmp", "status.json.17.tmp", ".sync.json.17.tmp"} {
		owned(name, false)
	}
	put(".report.html.17.tmp")
	owned(".report.html.17.tmp", true)

	owned("scratch", true) // empty
	put("scratch/drill/restored", "scratch/snapshot-42/copy", "scratch/clock-42.tmp", "scratch/nameless.42.tmp", "staging/publish.tmp", "staging/publish-2.tmp", "staging/.repository.json.42.tmp")
	owned("scratch", false)
	owned("staging", false)
	put("identity.json")
	owned("scratch", false) // of somebody else
	if err := d.SaveIdentity(&Identity{StateID: strings.Repeat("0", 32)}); err != nil {
		t.Fatal(err)
	}
	owned("scratch", true)
	owned("staging", true)
	put("scratch/novel.txt", "staging/.novel.odt.42.tmp/page")
	owned("scratch", false)
	owned("staging", false)

	// A run clears away what is called as its own are, and nothing else.
	left, err := d.Passing()
	beside, berr := d.Temporary()
	want := []string{"scratch/clock-42.tmp", "scratch/drill", "scratch/nameless.42.tmp", "scratch/snapshot-42", "staging/.repository.json.42.tmp", "staging/publish-2.tmp", "staging/publish.tmp"}
	if err != nil || berr != nil || !slices.Equal(left, want) || !slices.Equal(beside, []string{".report.html.17.tmp"}) {
		t.Errorf("%q, %v; %q, %v", left, err, beside, berr)
	}
	put("log/maia-dr-2026-01-05T03-00-00.000.log", "log/maia-dr-menu.log", "log/captain.log")
	owned("log/maia-dr-2026-01-05T03-00-00.000.log", true)
	owned("log/maia-dr-menu.log", true)
	owned("log/captain.log", false)
}
