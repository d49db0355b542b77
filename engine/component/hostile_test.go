package component

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"maia-dr/packaging/ci/faults/matrix"
)

func TestSpecialsAreLeftOut(t *testing.T) {
	root := maia(t, map[string]string{"fifo": "fifo", "x.pid": "fifo", "claude/data/f.log": "fifo", ".env": "fifo"})
	// The path of a socket is short: it is made from within.
	t.Chdir(root)
	l, err := net.Listen("unix", "socket")
	must(t, err)
	defer l.Close()
	inv := takeRoot(t, root)
	for _, name := range []string{"fifo", "x.pid", "claude/data/f.log", ".env", "socket"} {
		if got := placeOf(inv, name); got != "left out" {
			t.Errorf("%s stands at %q", name, got)
		}
	}
	for _, x := range inv.LeftOut {
		if x.Missing || x.Dir || !strings.Contains(x.Reason, "FIFO") && !strings.Contains(x.Reason, "socket") {
			t.Errorf("%+v", x)
		}
	}
}

func TestUnreadableIsNeverEmpty(t *testing.T) {
	root, err := os.MkdirTemp("", "unreadable")
	must(t, err)
	defer os.RemoveAll(root)
	tree(t, root, map[string]string{
		"CLAUDE.md": "x", "claude/data/secret.db": db, "closed/a": "x", "closed/b/c": "x", "listable/a": "x", "__pycache__/closed/a": "x",
		".git/closed/a": "x", "claude/data/jobs.db": db, "claude/data/jobs.db-wal": "x",
	})
	modes := map[string]fs.FileMode{
		"closed": 0, "listable": 0o600, "claude/data/secret.db": 0, "__pycache__/closed": 0, ".git": 0, "claude/data/jobs.db-wal": 0,
	}
	unprivileged(t, root, func() {
		for name, mode := range modes {
			must(t, os.Chmod(root+"/"+name, mode))
		}
		inv, err := Take(context.Background(), Options{Root: root})
		if err != nil {
			t.Error(err)
			return
		}
		if !inv.Ledger().Balanced() {
			t.Errorf("%+v", inv.Ledger())
		}
		for name, want := range map[string]string{
			"closed": "left out", "closed/a": "", "listable": "maia_code directory", "listable/a": "left out",
			"claude/data/secret.db": "left out", "claude/data/jobs.db": "maia_data_small database", "claude/data/jobs.db-wal": "", ".git": "",
		} {
			if got := placeOf(inv, name); got != want {
				t.Errorf("%s stands at %q, want %q", name, got, want)
			}
		}
		for _, x := range inv.LeftOut {
			if !x.Missing || !strings.Contains(x.Reason, "permission denied") || x.Dir != (x.Path == "closed") {
				t.Errorf("%+v", x)
			}
		}
		if got := ruleOf(inv, RulePycache); got.Uncounted != 1 || got.Files != 0 {
			t.Errorf("%+v", got)
		}
		if got := ruleOf(inv, RuleGit); got.Uncounted != 1 || len(got.Examples) != 1 {
			t.Errorf("%+v", got)
		}
		if got := ruleOf(inv, RuleSidecar); got.Files != 1 {
			t.Errorf("%+v", got)
		}
		must(t, os.Chmod(root, 0))
		if _, err := Take(context.Background(), Options{Root: root}); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("a root that cannot be listed: %v", err)
		}
		must(t, os.Chmod(root, 0o700))
		for name := range modes {
			must(t, os.Chmod(root+"/"+name, 0o700))
		}
	})
}

func TestPrivacyAndModesAreToldApart(t *testing.T) {
	root := maia(t, map[string]string{"private/a": "x", "half/a": "x", "half/b": "x", "modes/a": "x", "file": "x", "broken": "x", "stat": "x"})
	sys := refusing(map[string]error{
		"list " + root + "/private": unix.EPERM, "list " + root + "/modes": unix.EACCES, "list partly " + root + "/half": unix.EIO,
		"open " + root + "/file": unix.EPERM, "open " + root + "/broken": unix.EIO, "lstat " + root + "/stat": unix.EPERM,
	})
	inv, err := take(context.Background(), Options{Root: root}, sys)
	must(t, err)
	if !inv.Ledger().Balanced() {
		t.Errorf("%+v", inv.Ledger())
	}
	reasons := map[string]string{}
	for _, x := range inv.LeftOut {
		if !x.Missing {
			t.Errorf("%+v", x)
		}
		reasons[x.Path] = x.Reason
	}
	for name, want := range map[string]string{
		"private": "privacy", "modes": "mode", "half": "input/output error", "file": "privacy", "broken": "input/output error", "stat": "privacy",
	} {
		if !strings.Contains(reasons[name], want) {
			t.Errorf("%s was left out because %q, want %q", name, reasons[name], want)
		}
	}
	if placeOf(inv, "half/a") != "maia_code file" || placeOf(inv, "private/a") != "" {
		t.Error("what could be listed is not there, or what could not is")
	}
	for _, e := range []error{unix.EPERM, unix.EACCES, unix.EIO, unix.ENAMETOOLONG, unix.ELOOP, fs.ErrNotExist, errors.New("x")} {
		if got := Reason(&fs.PathError{Op: "open", Path: "/secret/path", Err: e}); got == "" || strings.Contains(got, "/secret") {
			t.Errorf("Reason(%v) = %q", e, got)
		}
	}
}

func TestDatalessFilesAreNotRead(t *testing.T) {
	root := maia(t, map[string]string{"cloud.db": "x", "here": "x"})
	sys := realSystem()
	sys.dataless = func(fi fs.FileInfo) bool { return fi.Name() == "cloud.db" }
	head := sys.head
	sys.head = func(p string, id FileID) ([]byte, error) {
		if path.Base(p) == "cloud.db" {
			t.Error("it was opened")
		}
		return head(p, id)
	}
	inv, err := take(context.Background(), Options{Root: root}, sys)
	must(t, err)
	if placeOf(inv, "cloud.db") != "left out" || placeOf(inv, "here") != "maia_code file" || !inv.Ledger().Balanced() {
		t.Errorf("%+v", inv)
	}
}

// TestChangesUnderTheWalk lets files vanish and change between the moment they are listed and the moment they are
// looked at.
func TestChangesUnderTheWalk(t *testing.T) {
	faults := matrix.Of(t, "13")
	for name, c := range map[string]struct {
		change func(path string) error
		want   string
	}{
		"vanishes":         {os.Remove, ""},
		"becomes a link":   {func(p string) error { return errors.Join(os.Remove(p), os.Symlink("CLAUDE.md", p)) }, "maia_code symlink"},
		"becomes a FIFO":   {func(p string) error { return errors.Join(os.Remove(p), unix.Mkfifo(p, 0o600)) }, "left out"},
		"becomes a folder": {func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) }, "maia_code directory"},
		"becomes another":  {func(p string) error { return errors.Join(os.Rename(p, p+"-old"), os.WriteFile(p, []byte(db), 0o600)) }, "maia_code database"},
		"grows":            {func(p string) error { return os.WriteFile(p, []byte(db), 0o600) }, "maia_code database"},
	} {
		t.Run(name, func(t *testing.T) {
			faults.Inject()
			root := maia(t, map[string]string{"victim": "some text of its own"})
			sys := realSystem()
			head := sys.head
			changed := false
			sys.head = func(p string, id FileID) ([]byte, error) {
				if path.Base(p) == "victim" && !changed {
					changed = true
					must(t, c.change(p))
				}
				return head(p, id)
			}
			inv, err := take(context.Background(), Options{Root: root}, sys)
			must(t, err)
			if got := placeOf(inv, "victim"); got != c.want || !changed {
				t.Errorf("it stands at %q, want %q", got, c.want)
			}
			for _, e := range inv.Entries {
				if e.Path == "victim" && e.Stat.ID() != statOf(t, e.Source).ID() {
					t.Error("the entry has the stat of what was there before")
				}
			}
			if !inv.Ledger().Balanced() {
				t.Errorf("%+v", inv.Ledger())
			}
		})
	}
}

func TestFolderThatBecomesALinkIsNotEntered(t *testing.T) {
	outside := t.TempDir()
	tree(t, outside, map[string]string{"treasure": "x"})
	root := maia(t, map[string]string{"folder/a": "x"})
	sys := realSystem()
	list := sys.list
	sys.list = func(p string, follow bool) ([]string, error) {
		if path.Base(p) == "folder" {
			must(t, os.RemoveAll(p))
			must(t, os.Symlink(outside, p))
		}
		return list(p, follow)
	}
	inv, err := take(context.Background(), Options{Root: root}, sys)
	must(t, err)
	if placeOf(inv, "folder/treasure") != "" || placeOf(inv, "folder") != "maia_code symlink" {
		t.Errorf("%+v %+v", inv.Entries, inv.LeftOut)
	}
}

func TestSomethingThatNeverSettles(t *testing.T) {
	matrix.Count(t, 1, "13")
	root := maia(t, map[string]string{"victim": "x"})
	sys := realSystem()
	head := sys.head
	sys.head = func(p string, id FileID) ([]byte, error) {
		if path.Base(p) == "victim" {
			return nil, errOther
		}
		return head(p, id)
	}
	inv, err := take(context.Background(), Options{Root: root}, sys)
	must(t, err)
	if placeOf(inv, "victim") != "left out" || !inv.Ledger().Balanced() {
		t.Errorf("%+v", inv.LeftOut)
	}
}

func TestHostileNames(t *testing.T) {
	faults := matrix.Of(t, "22")
	names := []string{
		"$(touch x)", "`id`", ";rm", "a\nb", "a\rb", "-rf", "*", "?", "[a]", "~", "~x", " lead", "trail ", "tab\t", "\\", "'", "\"", "\x01\x1b[31m",
		"\xff\xfe", "caf\u00e9", "cafe\u0301", "名前", "😀", "A", "a", strings.Repeat("n", 255), "...", ".a", "._a", "con", "a:b", "%s%n",
	}
	files := map[string]string{}
	for _, n := range names {
		faults.Inject()
		files["names/"+n] = "x"
	}
	root := maia(t, files)
	inv := takeRoot(t, root)
	for _, n := range names {
		e := find(t, inv.Entries, func(e Entry) bool { return e.Path == "names/"+n })
		if e.Source != root+"/names/"+n {
			t.Errorf("%q is read from %q", n, e.Source)
		}
	}
}

func TestPathThatIsTooLong(t *testing.T) {
	root := maia(t, nil)
	t.Chdir(root)
	name := strings.Repeat("d", 250)
	for range 20 {
		must(t, os.Mkdir(name, 0o755))
		must(t, os.Chdir(name))
	}
	must(t, os.WriteFile("file", []byte("x"), 0o600))
	inv := takeRoot(t, root)
	if len(inv.LeftOut) != 1 || !strings.Contains(inv.LeftOut[0].Reason, "too long") || !inv.LeftOut[0].Missing {
		t.Errorf("%+v", inv.LeftOut)
	}
}

func TestNothingIsChanged(t *testing.T) {
	root := maia(t, map[string]string{"a/b": "x", "jobs.db": db, "jobs.db-wal": "\x37\x7f\x06\x82", ".env": "TOKEN=1", "l": "-> a"})
	snapshot := func() string {
		var out strings.Builder
		must(t, filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			must(t, err)
			st := statOf(t, p)
			fmt.Fprintln(&out, p, d.Type(), st)
			return nil
		}))
		return out.String()
	}
	before := snapshot()
	takeOptions(t, Options{Root: root, Home: root})
	if after := snapshot(); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}
