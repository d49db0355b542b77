package component

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tree makes files: names ending with a slash are folders; content "-> x" is a link to x, "fifo" a FIFO.
func tree(t testing.TB, root string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := root + "/" + name
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(path, 0o755))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		target, isLink := strings.CutPrefix(content, "-> ")
		switch {
		case isLink:
			must(t, os.Symlink(target, path))
		case content == "fifo":
			must(t, unix.Mkfifo(path, 0o644))
		default:
			must(t, os.WriteFile(path, []byte(content), 0o644))
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// maia makes a Maia with the files given.
func maia(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	tree(t, root, map[string]string{"CLAUDE.md": "# Maia\n", "claude/data/": ""})
	tree(t, root, files)
	return root
}

func takeRoot(t *testing.T, root string) *Inventory {
	t.Helper()
	return takeOptions(t, Options{Root: root})
}

func takeOptions(t *testing.T, o Options) *Inventory {
	t.Helper()
	inv, err := Take(context.Background(), o)
	must(t, err)
	if l := inv.Ledger(); !l.Balanced() {
		t.Errorf("the ledger does not balance: %+v", l)
	}
	return inv
}

// placeOf returns where a path under the root stands: its component, "secret", "left out", or "".
func placeOf(inv *Inventory, path string) string {
	var places []string
	for _, e := range inv.Entries {
		if UnderRoot(e.Component) && e.Path == path {
			places = append(places, e.Component+" "+e.Kind.String())
		}
	}
	for _, s := range inv.Secrets {
		if UnderRoot(s.Component) && s.Path == path {
			places = append(places, "secret")
		}
	}
	for _, x := range inv.LeftOut {
		if UnderRoot(x.Component) && x.Path == path {
			places = append(places, "left out")
		}
	}
	return strings.Join(places, ", ")
}

func ruleOf(inv *Inventory, rule string) RuleCount {
	i := slices.IndexFunc(inv.Excluded, func(r RuleCount) bool { return r.Rule == rule })
	if i < 0 {
		return RuleCount{}
	}
	return inv.Excluded[i]
}

func find[T any](t *testing.T, list []T, is func(T) bool) T {
	t.Helper()
	i := slices.IndexFunc(list, is)
	if i < 0 {
		t.Fatalf("not found in %+v", list)
	}
	return list[i]
}

func statOf(t *testing.T, path string) Stat {
	t.Helper()
	fi, err := os.Lstat(path)
	must(t, err)
	return StatOf(fi)
}

// refusing is the real file system but for some paths that answer with an error.
func refusing(errs map[string]error) system {
	sys := realSystem()
	lstat, list, head := sys.lstat, sys.list, sys.head
	sys.lstat = func(path string) (fs.FileInfo, error) {
		if err := errs["lstat "+path]; err != nil {
			return nil, &fs.PathError{Op: "lstat", Path: path, Err: err}
		}
		return lstat(path)
	}
	sys.list = func(path string, follow bool) ([]string, error) {
		names, err := list(path, follow)
		if e := errs["list "+path]; e != nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: e}
		}
		if e := errs["list partly "+path]; e != nil {
			return names[:1], &fs.PathError{Op: "readdirent", Path: path, Err: e}
		}
		return names, err
	}
	sys.head = func(path string, id FileID) ([]byte, error) {
		if err := errs["open "+path]; err != nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		return head(path, id)
	}
	return sys
}
