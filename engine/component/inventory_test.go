package component

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bmatcuk/doublestar/v4"
)

const (
	db            = sqliteHeader + "\x10\x00 and pages"
	venvCfg       = "home = /usr/bin\nversion = 3.11.2\n"
	virtualenvCfg = "home = /opt/x\nversion_info = 3.9.6.final.0\n"
)

func TestEveryFileHasItsPlace(t *testing.T) {
	root := maia(t, map[string]string{
		"SYSTEM_STATE.md":                             "x",
		"claude/agents/one.md":                        "x",
		"claude/empty/":                               "",
		"claude/data/jobs.db":                         db,
		"claude/data/catalog.json":                    "{}",
		"claude/data/changelog.json":                  "{}",
		"claude/data/deep/empty/":                     "",
		"claude/data/link":                            "-> catalog.json",
		"claude/data/big.db":                          db + strings.Repeat("x", 200),
		"claude/tools/state.bin":                      db,
		"claude/tools/log/keep.py":                    "x",
		"claude/tools/x.log/keep.py":                  "a folder is no log",
		"claude/tools/y.pid/":                         "",
		"claude/tools/vtt_processed.json/keep":        "x",
		"claude/tools/production_api_credentials.py":  "API_KEY = \"sk-1\"\nREGION = \"x\"\n",
		"production_api_credentials.py":               "TOKEN = \"wherever it lies\"\n",
		".env":                                        "TOKEN=abc\n",
		"claude/.env.local":                           "",
		"claude/.env/keep":                            "a folder is no environment file",
		"claude/.netrc":                               "machine x login y password z",
		"deploy/prod.env":                             "DB_PASSWORD=abc\n",
		"deploy/plain.env":                            "REGION=eu\n",
		".git/config":                                 "x",
		".git/objects/ab/cd":                          "12345",
		"sub/.git/HEAD":                               "x",
		"worktree/.git":                               "gitdir: elsewhere\n",
		".gitignore":                                  "x",
		"claude/data/logs/today.json":                 "x",
		"claude/logs/keep.json":                       "only below data",
		"run.log":                                     "12",
		"claude/data/a.pid":                           "1",
		"claude/data/vtt_processed.json":              "{}",
		"claude/tools/__pycache__/a.cpython-39.pyc":   "x",
		"claude/tools/__pycache__/b/c":                "x",
		"claude/data/jobs.db-wal":                     "\x37\x7f\x06\x82rest",
		"claude/data/jobs.db-shm":                     "\x18\xe2\x2d\x00rest",
		"claude/data/jobs.db-journal":                 "",
		"claude/data/catalog.json-wal":                "beside no database",
		"claude/data/notes.db":                        db,
		"claude/data/notes.db-journal":                "somebody's journal about notes.db",
		"claude/data/notes.db-wal":                    db,
		".venv/pyvenv.cfg":                            venvCfg,
		".venv/bin/python":                            "x",
		".venv/lib/python3.11/site-packages/pkg/a.py": "x",
		"tool/env/pyvenv.cfg":                         virtualenvCfg,
		"tool/env/lib64":                              "-> lib",
		"worked/pyvenv.cfg":                           "version = 3.12.1\n",
		"worked/mine.py":                              "somebody's work",
		"worked/lib/python3.12/site-packages/p.py":    "x",
		"worked/lib/mine.txt":                         "x",
		"notvenv/pyvenv.cfg/":                         "",
		"notvenv/lib/a":                               "x",
	})
	own := filepath.Join(root, "claude", "MaiaBackups")
	tree(t, root, map[string]string{"claude/MaiaBackups/chunks/a.gz": "123", "claude/OneDriveLookalike/x": "x"})
	inv := takeOptions(t, Options{
		Root: root, Own: []FileID{statOf(t, own).ID()}, LargeDatabase: 100,
		Exclude: []string{"deploy/plain.env", "claude/OneDrive*/", "claude/agents/one.md/"},
	})
	for path, want := range map[string]string{
		"SYSTEM_STATE.md":                            "maia_code file",
		"claude/agents/one.md":                       "maia_code file", // the pattern is for folders
		"claude/empty":                               "maia_code directory",
		"claude/data":                                "maia_code directory",
		"claude/data/deep/empty":                     "maia_code directory",
		"claude/data/jobs.db":                        "maia_data_small database",
		"claude/data/catalog.json":                   "maia_data_small file",
		"claude/data/changelog.json":                 "maia_data_small file",
		"claude/data/link":                           "maia_data_small symlink",
		"claude/data/big.db":                         "maia_data_large database",
		"claude/tools/state.bin":                     "maia_code database",
		"claude/tools/x.log":                         "maia_code directory",
		"claude/tools/x.log/keep.py":                 "maia_code file",
		"claude/tools/y.pid":                         "maia_code directory",
		"claude/tools/vtt_processed.json/keep":       "maia_code file",
		"claude/tools/production_api_credentials.py": "secret",
		"production_api_credentials.py":              "secret",
		".env":                                       "secret",
		"claude/.env.local":                          "secret",
		"claude/.env/keep":                           "maia_code file",
		"claude/.netrc":                              "secret",
		"deploy/prod.env":                            "secret",
		"deploy/plain.env":                           "",
		".git":                                       "",
		".git/config":                                "",
		"sub/.git/HEAD":                              "",
		"worktree/.git":                              "maia_code file",
		".gitignore":                                 "maia_code file",
		"claude/data/logs":                           "",
		"claude/data/logs/today.json":                "",
		"claude/logs/keep.json":                      "maia_code file",
		"run.log":                                    "",
		"claude/data/a.pid":                          "",
		"claude/data/vtt_processed.json":             "",
		"claude/tools/__pycache__/a.cpython-39.pyc":  "",
		"claude/data/jobs.db-wal":                    "",
		"claude/data/jobs.db-shm":                    "",
		"claude/data/jobs.db-journal":                "",
		"claude/data/catalog.json-wal":               "maia_data_small file",
		"claude/data/notes.db-journal":               "maia_data_small file",
		"claude/data/notes.db-wal":                   "maia_data_small database",
		".venv":                                      "",
		".venv/bin/python":                           "",
		"tool":                                       "maia_code directory",
		"tool/env":                                   "",
		"worked/mine.py":                             "maia_code file",
		"worked/pyvenv.cfg":                          "maia_code file",
		"worked/lib/mine.txt":                        "maia_code file",
		"worked/lib/python3.12/site-packages":        "",
		"notvenv/lib/a":                              "maia_code file",
		"claude/MaiaBackups/chunks/a.gz":             "",
		"claude/OneDriveLookalike":                   "",
	} {
		if got := placeOf(inv, path); got != want {
			t.Errorf("%s stands at %q, want %q", path, got, want)
		}
	}
	for _, want := range []RuleCount{
		{Rule: RuleGit, Files: 3, Bytes: 7, Examples: []string{".git/", "sub/.git/"}},
		{Rule: RuleLogs, Files: 1, Bytes: 1, Examples: []string{"claude/data/logs/"}},
		{Rule: RuleLog, Files: 1, Bytes: 2, Examples: []string{"run.log"}},
		{Rule: RulePID, Files: 1, Bytes: 1, Examples: []string{"claude/data/a.pid"}},
		{Rule: RuleProcessed, Files: 1, Bytes: 2, Examples: []string{"claude/data/vtt_processed.json"}},
		{Rule: RulePycache, Files: 2, Bytes: 2, Examples: []string{"claude/tools/__pycache__/"}},
		{
			Rule: RuleVenv, Files: 6, Bytes: int64(len(venvCfg + virtualenvCfg + "xxx")),
			Examples: []string{"tool/env/", ".venv/", "worked/lib/python3.12/site-packages/"},
		},
		{Rule: RuleSidecar, Files: 3, Bytes: 16, Examples: []string{"claude/data/jobs.db-shm", "claude/data/jobs.db-wal", "claude/data/jobs.db-journal"}},
		{Rule: RuleOwn, Files: 1, Bytes: 3, Examples: []string{"claude/MaiaBackups/"}},
		{Rule: "config: deploy/plain.env", Files: 1, Bytes: 10, Examples: []string{"deploy/plain.env"}},
		{Rule: "config: claude/OneDrive*/", Files: 1, Bytes: 1, Examples: []string{"claude/OneDriveLookalike/"}},
	} {
		if got := ruleOf(inv, want.Rule); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if len(inv.Excluded) != 11 {
		t.Errorf("%d rules: %+v", len(inv.Excluded), inv.Excluded)
	}
	if want := []VirtualEnv{{".venv", "3.11.2", "/usr/bin"}, {"tool/env", "3.9.6", "/opt/x"}, {"worked", "3.12.1", ""}}; !slices.Equal(inv.VirtualEnvs, want) {
		t.Errorf("environments %+v, want %+v", inv.VirtualEnvs, want)
	}
	if want := []string{".", "sub", "worktree"}; !slices.Equal(inv.Repositories, want) {
		t.Errorf("repositories %q, want %q", inv.Repositories, want)
	}
	api := find(t, inv.Secrets, func(s SecretFile) bool { return path.Base(s.Path) == "production_api_credentials.py" })
	if !slices.Equal(api.Names, []string{"API_KEY"}) || api.Component != Code {
		t.Errorf("%+v", api)
	}
}

func TestGitHistoryIsKeptOnDemand(t *testing.T) {
	root := maia(t, map[string]string{
		".git/HEAD":               "ref: refs/heads/main\n",
		".git/config":             "[remote \"origin\"]\n\turl = https://user:hunter2@example.org/x.git\n",
		".git/modules/sub/config": "[remote \"origin\"]\n\turl = git@example.org:x.git\n",
		".git/logs/HEAD":          "x",
	})
	inv := takeOptions(t, Options{Root: root, KeepGitHistory: true})
	for path, want := range map[string]string{
		".git": "maia_code directory", ".git/HEAD": "maia_code file", ".git/config": "secret", ".git/modules/sub/config": "maia_code file",
	} {
		if got := placeOf(inv, path); got != want {
			t.Errorf("%s stands at %q, want %q", path, got, want)
		}
	}
	if ruleOf(inv, RuleGit).Files != 0 || !slices.Equal(inv.Repositories, []string{"."}) {
		t.Errorf("%+v, %q", inv.Excluded, inv.Repositories)
	}
}

func TestAnyFolderIsAllCode(t *testing.T) {
	root := t.TempDir()
	tree(t, root, map[string]string{
		"claude/data/small.db": db, "big.sqlite": db + strings.Repeat("x", 100), "claude/data/x.json": "{}", "pyvenv.cfg": "version = 3.9.1\n",
		"lib/python3.9/site-packages/p.py": "x", "bin/mine.sh": "x", "run.log": "x", "claude/data/logs/x": "x", "__pycache__/x": "x", ".git/x": "x",
	})
	inv := takeOptions(t, Options{Root: root, LargeDatabase: 100})
	if inv.Maia {
		t.Error("it is no Maia")
	}
	for path, want := range map[string]string{
		"claude/data/small.db": "maia_code database", "claude/data/x.json": "maia_code file", "big.sqlite": "maia_data_large database",
		"bin/mine.sh": "maia_code file", "pyvenv.cfg": "maia_code file", "lib/python3.9": "maia_code directory", "lib/python3.9/site-packages": "",
		"run.log": "maia_code file", "claude/data/logs/x": "maia_code file", "__pycache__/x": "maia_code file", ".git/x": "",
	} {
		if got := placeOf(inv, path); got != want {
			t.Errorf("%s stands at %q, want %q", path, got, want)
		}
	}
	if want := []VirtualEnv{{".", "3.9.1", ""}}; !slices.Equal(inv.VirtualEnvs, want) {
		t.Errorf("environments %+v", inv.VirtualEnvs)
	}
}

func TestEntriesAreSortedAndComplete(t *testing.T) {
	root := maia(t, map[string]string{
		"b/x": "12", "b-c/x": "1", "b.d": "1", "claude/data/z": "1", "claude/data/a.db": db, "\xff\xfe": "1", "ünï": "1", "l": "-> b/x",
	})
	must(t, os.Chmod(root+"/b/x", 0o4751))
	must(t, os.Chmod(root+"/b", os.ModeSticky|0o700))
	must(t, os.Chmod(root+"/b.d", os.ModeSetuid|os.ModeSetgid|0o640))
	inv := takeRoot(t, root)
	var places []string
	seen := map[string]bool{}
	for _, e := range inv.Entries {
		places = append(places, fmt.Sprint(Order(e.Component))+" "+e.Path)
		if dir := path.Dir(e.Path); dir != "." && e.Component == Code && !seen[dir] {
			t.Errorf("%s stands before its folder", e.Path)
		}
		seen[e.Path] = true
		if fi, err := os.Lstat(e.Source); err != nil || e.Stat != StatOf(fi) || e.Source != root+"/"+e.Path {
			t.Errorf("%+v: %v", e, err)
		}
	}
	if !slices.IsSorted(places) {
		t.Errorf("not sorted: %q", places)
	}
	mode := func(path string) uint32 {
		return find(t, inv.Entries, func(e Entry) bool { return e.Path == path }).Mode
	}
	if mode("b") != 0o1700 || mode("b.d") != 0o6640 {
		t.Errorf("modes %o %o", mode("b"), mode("b.d"))
	}
	if l := find(t, inv.Entries, func(e Entry) bool { return e.Path == "l" }); l.Link != "b/x" || l.Kind != Symlink {
		t.Errorf("%+v", l)
	}
	again := takeRoot(t, root)
	if !reflect.DeepEqual(inv, again) {
		t.Error("a second look differs")
	}
}

func TestKnownFilesAreNotOpened(t *testing.T) {
	root := maia(t, map[string]string{"a": "x", "b": db, "c": "x"})
	sys := realSystem()
	opened := 0
	head := sys.head
	sys.head = func(path string, id FileID) ([]byte, error) { opened++; return head(path, id) }
	known := func(source string, st Stat) (Kind, bool) {
		if st != statOf(t, source) {
			t.Errorf("stat of %s is not its own", source)
		}
		switch path.Base(source) {
		case "a":
			return Database, true
		case "c":
			return Dir, true // nonsense is not believed
		}
		return File, false
	}
	inv, err := take(context.Background(), Options{Root: root, Known: known}, sys)
	must(t, err)
	if opened != 3 {
		t.Errorf("%d files were opened, want CLAUDE.md, b and c", opened)
	}
	for path, want := range map[string]string{"a": "maia_code database", "b": "maia_code database", "c": "maia_code file"} {
		if got := placeOf(inv, path); got != want {
			t.Errorf("%s stands at %q, want %q", path, got, want)
		}
	}
}

func TestErrorsOfTake(t *testing.T) {
	ctx := context.Background()
	if _, err := Take(ctx, Options{Root: filepath.Join(t.TempDir(), "none")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing root: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o644))
	if _, err := Take(ctx, Options{Root: file}); err == nil {
		t.Error("a file is no root")
	}
	if _, err := Take(ctx, Options{Root: "relative"}); err == nil {
		t.Error("a relative root was taken")
	}
	if _, err := Take(ctx, Options{Root: t.TempDir(), Exclude: []string{"a[", "b"}}); !errors.Is(err, doublestar.ErrBadPattern) {
		t.Errorf("bad pattern: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Take(cancelled, Options{Root: maia(t, nil)}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if inv, err := Take(ctx, Options{Root: t.TempDir()}); err != nil || len(inv.Entries) != 0 {
		t.Errorf("empty root: %+v, %v", inv, err)
	}
}

func TestRootMayBeALink(t *testing.T) {
	root := maia(t, map[string]string{"x": "1"})
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(root, link))
	inv := takeRoot(t, link)
	if placeOf(inv, "x") != "maia_code file" || inv.Entries[0].Source != link+"/CLAUDE.md" {
		t.Errorf("%+v", inv.Entries)
	}
}

func TestOwnRootIsNotExcluded(t *testing.T) {
	root := maia(t, map[string]string{"x": "1", "MaiaBackups/x": "1"})
	inv := takeOptions(t, Options{Root: root, Own: []FileID{statOf(t, root).ID(), statOf(t, root+"/MaiaBackups").ID()}})
	if placeOf(inv, "x") != "maia_code file" || ruleOf(inv, RuleOwn).Files != 1 {
		t.Errorf("%+v", inv)
	}
}

func TestLinksToFoldersOutsideAreNamed(t *testing.T) {
	outside := t.TempDir()
	tree(t, outside, map[string]string{"secret.db": db})
	root := maia(t, map[string]string{
		"out": "-> " + outside, "in": "-> claude", "dangling": "-> nowhere", "loop": "-> loop", "file": "-> CLAUDE.md", "self": "-> .",
	})
	inv := takeRoot(t, root)
	if len(inv.Outside) != 1 || inv.Outside[0].Path != "out" || !inv.Outside[0].Missing {
		t.Errorf("%+v", inv.Outside)
	}
	for _, name := range []string{"out", "in", "dangling", "loop", "file", "self"} {
		if got := placeOf(inv, name); got != "maia_code symlink" {
			t.Errorf("%s stands at %q", name, got)
		}
	}
	if placeOf(inv, "out/secret.db") != "" || placeOf(inv, "self/CLAUDE.md") != "" {
		t.Error("a link was followed")
	}
}

func TestExamplesAreFewAndLargest(t *testing.T) {
	files := map[string]string{}
	for i := range 20 {
		files[fmt.Sprintf("%02d.log", i)] = strings.Repeat("x", i)
	}
	r := ruleOf(takeRoot(t, maia(t, files)), RuleLog)
	if want := []string{"19.log", "18.log", "17.log", "16.log", "15.log"}; !slices.Equal(r.Examples, want) || r.Files != 20 || r.Bytes != 190 {
		t.Errorf("%+v", r)
	}
}

func TestPatterns(t *testing.T) {
	root := maia(t, map[string]string{
		"top.bak": "1", "a/deep.bak": "1", "cache/x/y": "1", "b/cache/x": "1", "b/cachefile": "1", "{odd}": "1", "ünï/x": "1",
	})
	for pattern, want := range map[string][]string{
		"*.bak": {"top.bak"}, "**/*.bak": {"top.bak", "a/deep.bak"}, "cache": {"cache", "cache/x/y"}, "cache/": {"cache", "cache/x/y"},
		"**/cache/": {"cache", "b/cache", "cache/x/y", "b/cache/x"}, "cache/**": {"cache", "cache/x/y"}, "b/*": {"b/cache", "b/cache/x", "b/cachefile"},
		"./top.bak": {"top.bak"}, "\\{odd\\}": {"{odd}"}, "top.bak/": {}, "{a,b}/cache*": {"b/cache", "b/cachefile", "b/cache/x"}, "ünï": {"ünï", "ünï/x"},
	} {
		inv := takeOptions(t, Options{Root: root, Exclude: []string{pattern}})
		var gone []string
		for _, path := range []string{"top.bak", "a/deep.bak", "cache", "cache/x/y", "b/cache", "b/cache/x", "b/cachefile", "{odd}", "ünï", "ünï/x"} {
			if placeOf(inv, path) == "" {
				gone = append(gone, path)
			}
		}
		slices.Sort(want)
		slices.Sort(gone)
		if !slices.Equal(gone, want) {
			t.Errorf("%s excludes %q, want %q", pattern, gone, want)
		}
	}
}

// TestRandomTrees holds the ledger to its word on trees made at random: every file in exactly one place, and excluded
// only what a plain reading of the rules says.
func TestRandomTrees(t *testing.T) {
	names := []string{
		"a", "b.py", "x.log", "y.pid", "vtt_processed.json", "__pycache__", ".git", "logs", "data", "claude", ".env", ".env.x", ".netrc",
		"jobs.db", "jobs.db-wal", "jobs.db-shm", "jobs.db-journal", "pyvenv.cfg", "lib", "bin", "site-packages", "-rf", "$(x)", "a\nb", "\xff", "é",
		"ab:c", " ", "*", "cache", "node.bak", "production_api_credentials.py", "tools", "CLAUDE.md", "com.maia.x.plist",
	}
	total := Ledger{}
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		root := t.TempDir()
		if seed%2 == 0 {
			tree(t, root, map[string]string{"CLAUDE.md": "x", "claude/data/": ""})
		}
		grow(t, r, root, names, 3)
		o := Options{Root: root, Exclude: []string{"**/*.bak", "**/cache"}, LargeDatabase: 200}
		inv := takeOptions(t, o)
		captured := map[string]int{}
		for _, e := range inv.Entries {
			captured[e.Path]++
		}
		elsewhere := map[string]int{}
		for _, s := range inv.Secrets {
			elsewhere[s.Path]++
		}
		for _, x := range inv.LeftOut {
			elsewhere[x.Path]++
		}
		files, excluded, excludedBytes := 0, 0, int64(0)
		must(t, filepath.WalkDir(root, func(abs string, d fs.DirEntry, err error) error {
			if err != nil || abs == root {
				return err
			}
			rel := abs[len(root)+1:]
			reason := plainRule(root, rel, d)
			n := captured[rel] + elsewhere[rel]
			if !d.IsDir() {
				files++
			}
			if n > 1 || n == 1 && reason != "" || n == 0 && reason == "" {
				t.Errorf("seed %d: %q is in %d places, rule %q", seed, rel, n, reason)
			}
			if n == 0 && !d.IsDir() {
				excluded++
				if fi, err := d.Info(); err == nil && fi.Mode().IsRegular() {
					excludedBytes += fi.Size()
				}
			}
			return nil
		}))
		l := inv.Ledger()
		var bytes int64
		for _, rule := range inv.Excluded {
			bytes += rule.Bytes
		}
		if l.Total != files || l.Excluded != excluded || bytes != excludedBytes {
			t.Errorf("seed %d: ledger %+v with %d bytes excluded; counted %d, %d, %d", seed, l, bytes, files, excluded, excludedBytes)
		}
		total.Captured += l.Captured
		total.Excluded += l.Excluded
		total.Secret += l.Secret
		total.LeftOut += l.LeftOut
	}
	if total.Captured < 500 || total.Excluded < 500 || total.Secret < 50 || total.LeftOut < 50 {
		t.Errorf("the trees are too tame: %+v", total)
	}
}

// grow fills a folder.
func grow(t *testing.T, r *rand.Rand, dir string, names []string, depth int) {
	for range 3 + r.IntN(9) {
		name := names[r.IntN(len(names))]
		full := dir + "/" + name
		if _, err := os.Lstat(full); err == nil {
			continue
		}
		switch k := r.IntN(12); {
		case k < 4 && depth > 0:
			must(t, os.Mkdir(full, 0o755))
			grow(t, r, full, names, depth-1)
		case k == 4:
			tree(t, dir, map[string]string{name: "-> " + names[r.IntN(len(names))]})
		case k == 5:
			tree(t, dir, map[string]string{name: "fifo"})
		case k < 8:
			tree(t, dir, map[string]string{name: db + strings.Repeat("x", r.IntN(300))})
		default:
			tree(t, dir, map[string]string{name: strings.Repeat("\x00", r.IntN(2)*r.IntN(50))})
		}
	}
}

// plainRule is the rules read as plainly as possible, by somebody who may look at everything. It returns "" for what is
// not excluded.
func plainRule(root, rel string, d fs.DirEntry) string {
	isDir := func(p string) bool { fi, err := os.Lstat(root + "/" + p); return err == nil && fi.IsDir() }
	isFile := func(p string) bool { fi, err := os.Lstat(root + "/" + p); return err == nil && fi.Mode().IsRegular() }
	begins := func(p string) string {
		if !isFile(p) {
			return ""
		}
		b, _ := os.ReadFile(root + "/" + p)
		return string(b[:min(16, len(b))])
	}
	// What a Maia's programs make again is excluded in a Maia only.
	maia := isFile("CLAUDE.md") && isDir("claude")
	parts := strings.Split(rel, "/")
	for i := range parts {
		up := strings.Join(parts[:i+1], "/")
		switch name := parts[i]; {
		case !isDir(up):
		case name == ".git", maia && name == "__pycache__", maia && up == "claude/data/logs", name == "cache", strings.HasSuffix(name, ".bak"):
			return up
		case isFile(up + "/pyvenv.cfg"):
			list, _ := os.ReadDir(root + "/" + up)
			if !slices.ContainsFunc(list, func(e fs.DirEntry) bool { return !slices.Contains(venvParts, e.Name()) }) {
				return up
			}
		}
	}
	name := parts[len(parts)-1]
	switch {
	case d.IsDir():
		return ""
	case name == "cache", strings.HasSuffix(name, ".bak"):
		return name
	case !isFile(rel):
		return ""
	case maia && (name == "vtt_processed.json" || strings.HasSuffix(name, ".log") || strings.HasSuffix(name, ".pid")):
		return name
	}
	for _, s := range []string{"-wal", "-shm", "-journal"} {
		if base, ok := strings.CutSuffix(rel, s); ok && begins(base) == sqliteHeader && begins(rel) != sqliteHeader {
			return s
		}
	}
	return ""
}
