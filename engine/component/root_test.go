package component

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestFindRootOrder(t *testing.T) {
	base := t.TempDir()
	at := func(name string) string { return filepath.Join(base, name) }
	for _, m := range []string{"above", "h/git/maia", "h/maia"} {
		tree(t, base, map[string]string{m + "/CLAUDE.md": "x", m + "/claude/": ""})
	}
	tree(t, base, map[string]string{"flag/": "", "env/": "", "config/": "", "above/deep/er/~odd/": "", "elsewhere/": ""})
	must(t, os.Symlink(at("flag"), at("link")))
	o := FindRootOptions{
		Flag: at("flag"), Config: at("config"), Home: at("h"), Cwd: at("above/deep/er"),
		Getenv: func(name string) string { return map[string]string{"MAIA_ROOT": at("env")}[name] },
	}
	// Each step takes away what was found before.
	for _, step := range []struct {
		want string
		next func()
	}{
		{at("flag"), func() { o.Flag = "../../../link/." }},
		{at("link"), func() { o.Flag = "~odd" }},
		{at("above/deep/er/~odd"), func() { o.Flag = "~/maia" }},
		{at("h/maia"), func() { o.Flag = "" }},
		{at("env"), func() { o.Getenv = func(string) string { return "" } }},
		{at("config"), func() { o.Config = "~/git/maia/claude/.." }},
		{at("h/git/maia"), func() { o.Config = "" }},
		{at("above"), func() { o.Cwd = at("elsewhere") }},
		{at("h/git/maia"), func() { must(t, os.Remove(at("h/git/maia/CLAUDE.md"))) }},
		{at("h/maia"), func() { must(t, os.Remove(at("h/maia/claude"))) }},
	} {
		root, _, err := FindRoot(o)
		if err != nil || root != step.want {
			t.Errorf("found %q, %v; want %q", root, err, step.want)
		}
		step.next()
	}
	root, tried, err := FindRoot(o)
	if !errors.Is(err, ErrNoRoot) || root != "" {
		t.Errorf("found %q, %v", root, err)
	}
	for _, dir := range []string{at("elsewhere"), base, "/", at("h/git/maia"), at("h/maia")} {
		if !slices.Contains(tried, dir) {
			t.Errorf("%q does not say that %s was tried", tried, dir)
		}
	}
	if len(tried) != len(slices.Compact(slices.Sorted(slices.Values(tried)))) {
		t.Errorf("%q has a place twice", tried)
	}
}

func TestNamedRootThatIsNone(t *testing.T) {
	base := t.TempDir()
	tree(t, base, map[string]string{"file": "x", "maia/CLAUDE.md": "x", "maia/claude/": ""})
	must(t, os.Symlink("nowhere", filepath.Join(base, "dangling")))
	env := ""
	o := FindRootOptions{Home: base, Cwd: filepath.Join(base, "maia"), Getenv: func(string) string { return env }}
	for _, c := range []struct {
		set  func(path string)
		name string
	}{
		{func(p string) { o.Flag = p }, "--maia-root"}, {func(p string) { env = p }, "MAIA_ROOT"}, {func(p string) { o.Config = p }, "configuration"},
	} {
		for path, want := range map[string]error{"file": syscall.ENOTDIR, "none": fs.ErrNotExist, "dangling": fs.ErrNotExist} {
			full := filepath.Join(base, path)
			c.set(full)
			root, _, err := FindRoot(o)
			if !errors.Is(err, want) || root != "" || errors.Is(err, ErrNoRoot) {
				t.Errorf("%s %s: %q, %v", c.name, path, root, err)
			} else if msg := err.Error(); !strings.Contains(msg, c.name) || !strings.Contains(msg, full) {
				t.Errorf("%q does not say what names what", msg)
			}
		}
		c.set("")
	}
	if root, _, err := FindRoot(o); err != nil || root != filepath.Join(base, "maia") {
		t.Errorf("%q, %v", root, err)
	}
}

func TestIsMaia(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  bool
	}{
		"both": {map[string]string{"CLAUDE.md": "", "claude/": ""}, true}, "no folder": {map[string]string{"CLAUDE.md": ""}, false},
		"no file": {map[string]string{"claude/x": ""}, false}, "swapped": {map[string]string{"CLAUDE.md/": "", "claude": ""}, false},
		"links": {map[string]string{"CLAUDE.md": "-> real", "real": "", "claude": "-> dir", "dir/": ""}, true}, "nothing": {nil, false},
	} {
		dir := t.TempDir()
		tree(t, dir, c.files)
		if IsMaia(dir) != c.want {
			t.Errorf("%s: %v", name, !c.want)
		}
	}
}
