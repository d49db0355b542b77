package component

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// realRunner is the real Runner with the search path of this machine and an empty home.
func realRunner(t *testing.T) Runner {
	return NewRunner(t.TempDir(), func(name string) string {
		if name == "PATH" {
			return os.Getenv("PATH")
		}
		return ""
	})
}

// git runs the real git to make repositories, and returns what it prints.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=n", "-c", "user.email=e", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func commit(t *testing.T, dir, name string) {
	t.Helper()
	tree(t, dir, map[string]string{name: name})
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", name)
}

func TestGitState(t *testing.T) {
	base := t.TempDir()
	remote, dir := filepath.Join(base, "remote.git"), filepath.Join(base, "work")
	git(t, base, "init", "-q", "--bare", remote)
	git(t, base, "init", "-q", dir)
	run := realRunner(t)
	state := func() GitState { t.Helper(); return CaptureGit(t.Context(), dir, run, "") }
	if s := state(); !reflect.DeepEqual(s, GitState{Present: true, Branch: "main", NoRemote: true}) {
		t.Errorf("fresh: %+v", s)
	}
	commit(t, dir, "one")
	if s := state(); s.Head == "" || s.Branch != "main" || s.Unpushed != 1 || !slices.Equal(s.Branches, []GitBranch{{"main", 1}}) {
		t.Errorf("one commit, no remote: %+v", s)
	}
	git(t, dir, "remote", "add", "origin", remote)
	git(t, dir, "remote", "add", "backup", "https://user:hunter2@example.org/x.git?private_token=hunter3")
	git(t, dir, "push", "-q", "origin", "main")
	clean := state()
	want := GitState{
		Present: true, Heads: []GitHead{{Name: "main", Commit: clean.Head}}, Head: clean.Head, Branch: "main", Remotes: []GitRemote{{"origin", remote}, {"backup", "https://example.org/x.git"}},
	}
	if !reflect.DeepEqual(clean, want) {
		t.Errorf("pushed: %+v, want %+v", clean, want)
	}
	commit(t, dir, "two")
	git(t, dir, "checkout", "-q", "-b", "feature/ünï")
	commit(t, dir, "three")
	must(t, os.WriteFile(dir+"/one", []byte("stashed"), 0o644))
	git(t, dir, "stash", "-q")
	must(t, os.WriteFile(dir+"/one", []byte("changed"), 0o644))
	must(t, os.Remove(dir+"/two"))
	git(t, dir, "mv", "three", "renamed")
	tree(t, dir, map[string]string{"new\nline": "x", "folder/a": "x", "folder/b": "x", ".gitignore": "*.o\n", "ignored.o": "x"})
	s := state()
	want.Head, want.Branch, want.Dirty, want.Untracked, want.Unpushed, want.Stashes = s.Head, "feature/ünï", 4, 4, 2, 1
	want.Branches = []GitBranch{{"feature/ünï", 2}, {"main", 1}}
	git(t, dir, "config", "branch.main.remote", "origin")
	git(t, dir, "config", "branch.main.merge", "refs/heads/trunk")
	main, err := run(t.Context(), "git", "--git-dir="+dir+"/.git", "rev-parse", "main")
	must(t, err)
	want.Heads = []GitHead{{Name: "feature/ünï", Commit: s.Head}, {Name: "main", Commit: strings.TrimSpace(string(main)), Remote: "origin", Merge: "refs/heads/trunk"}}
	s = state()
	if !reflect.DeepEqual(s, want) || s.Head == clean.Head {
		t.Errorf("busy: %+v, want %+v", s, want)
	}
	git(t, dir, "checkout", "-q", "-f", "--detach", "main")
	commit(t, dir, "four")
	if s := state(); s.Branch != "" || s.Head == "" || s.Unpushed != 3 || !slices.Contains(s.Branches, GitBranch{"HEAD", 2}) {
		t.Errorf("detached: %+v", s)
	}
	worktree := filepath.Join(base, "tree")
	git(t, dir, "worktree", "add", "-q", worktree, "main")
	if s := CaptureGit(t.Context(), worktree, run, ""); s.Branch != "main" || s.Problem != "" || s.Dirty != 0 || s.Unpushed < 1 {
		t.Errorf("a worktree: %+v", s)
	}
}

func TestNoRepository(t *testing.T) {
	base := t.TempDir()
	git(t, base, "init", "-q")
	dir := filepath.Join(base, "folder")
	must(t, os.Mkdir(dir, 0o755))
	run := realRunner(t)
	if s := CaptureGit(t.Context(), dir, run, ""); !reflect.DeepEqual(s, GitState{}) {
		t.Errorf("the repository above was taken: %+v", s)
	}
	tree(t, dir, map[string]string{".git/config": "[core\n"})
	s := CaptureGit(t.Context(), dir, run, "")
	if !s.Present || s.Problem == "" || s.Dirty != -1 || s.Unpushed != -1 || s.Head != "" {
		t.Errorf("damaged: %+v", s)
	}
	r := new(recorded)
	if s := CaptureGit(t.Context(), dir, r.run, "linux"); s.Problem != "git is not installed" || !s.Present {
		t.Errorf("no git: %+v", s)
	}
}

// TestHostileRepository has programs in every place of a repository's configuration that git could run one from. None
// may run, and nothing may be written.
func TestHostileRepository(t *testing.T) {
	base := t.TempDir()
	trap := filepath.Join(base, "trap")
	bait := script(t, base+"/bait", fmt.Sprintf("echo \"$0 $*\" >> '%s'; cat", trap))
	dir := filepath.Join(base, "work")
	sub := filepath.Join(base, "sub")
	git(t, base, "init", "-q", sub)
	commit(t, sub, "inner")
	git(t, base, "init", "-q", dir)
	commit(t, dir, "one")
	git(t, dir, "submodule", "--quiet", "add", sub, "module")
	tree(t, dir, map[string]string{".gitattributes": "* filter=evil diff=evil\ntwo filter=ev.il\n", "two": "x"})
	must(t, os.WriteFile(dir+"/.git/modules/module/info/attributes", []byte("* filter=inner\n"), 0o644))
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "two")
	for repo, name := range map[string]string{dir + "/.git/": "outer", dir + "/.git/modules/module/": "inner"} {
		config, err := os.ReadFile(repo + "config")
		must(t, err)
		included := base + "/included"
		must(t, os.WriteFile(included, fmt.Appendf(nil, "[filter \"ev.il\"]\n\tclean = %[1]s\n\tprocess = %[1]s\n\trequired = true\n", bait), 0o644))
		must(t, os.WriteFile(repo+"config", fmt.Appendf(config, `
[core]
	fsmonitor = %[1]s
	hooksPath = %[2]s
	sshCommand = %[1]s
	pager = %[1]s
	editor = %[1]s
	askPass = %[1]s
	gitProxy = %[1]s
	alternateRefsCommand = %[1]s
[include]
	path = %[3]s
[filter "evil"]
	clean = %[1]s
	smudge = %[1]s
	process = %[1]s
	required = true
[filter "%[4]s"]
	clean = %[1]s
	process = %[1]s
[diff]
	external = %[1]s
[diff "evil"]
	textconv = %[1]s
	command = %[1]s
[status]
	submoduleSummary = true
	showUntrackedFiles = no
[log]
	showSignature = true
[gpg]
	program = %[1]s
[credential]
	helper = !%[1]s
[alias]
	status = !%[1]s
[protocol "ext"]
	allow = always
[extensions]
	partialClone = evil
[remote "evil"]
	url = ext::%[1]s
	promisor = true
	uploadpack = %[1]s
	fetch = +refs/heads/*:refs/remotes/evil/*
`, bait, base+"/hooks", included, name), 0o644))
		for _, hook := range []string{"post-index-change", "fsmonitor-watchman", "reference-transaction", "post-checkout"} {
			script(t, repo+"hooks/"+hook, fmt.Sprintf("echo hook >> '%s'", trap))
			script(t, base+"/hooks/"+hook, fmt.Sprintf("echo hook >> '%s'", trap))
		}
	}
	// Content that must be looked at again, and an object that a promisor would be asked for.
	for _, f := range []string{"one", "two", "module/inner"} {
		must(t, os.WriteFile(dir+"/"+f, []byte("other"), 0o644))
	}
	missing := strings.Repeat("ab", 20)
	must(t, os.WriteFile(dir+"/.git/refs/heads/broken", []byte(missing+"\n"), 0o644))
	before := contents(t, dir)
	s := CaptureGit(t.Context(), dir, realRunner(t), "")
	if b, err := os.ReadFile(trap); err == nil {
		t.Errorf("ran: %s", b)
	} else if !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if !s.Present || s.Dirty < 2 {
		t.Errorf("%+v", s)
	}
	if after := contents(t, dir); !reflect.DeepEqual(after, before) {
		t.Error("the repository was written to")
	}
	// The trap would have worked: git without the precautions runs into it.
	cmd := exec.Command("git", "status", "--porcelain")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*")
	_ = cmd.Run() // only whether the trap was run counts
	if _, err := os.Stat(trap); err != nil {
		t.Errorf("the trap does not work, so this test proves nothing: %v", err)
	}
}

func TestFilterThatCannotBeSwitchedOff(t *testing.T) {
	dir := t.TempDir()
	trap := filepath.Join(t.TempDir(), "trap")
	git(t, dir, "init", "-q")
	commit(t, dir, "one")
	tree(t, dir, map[string]string{".gitattributes": "* filter=a=b\n"})
	f, err := os.OpenFile(dir+"/.git/config", os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = fmt.Fprintf(f, "[filter \"a=b\"]\n\tclean = touch %s\n", trap)
	must(t, errors.Join(err, f.Close()))
	must(t, os.WriteFile(dir+"/one", []byte("xxx"), 0o644))
	s := CaptureGit(t.Context(), dir, realRunner(t), "")
	if s.Dirty != -1 || !strings.Contains(s.Problem, "a=b") {
		t.Errorf("%+v", s)
	}
	if _, err := os.Stat(trap); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was run: %v", err)
	}
}

// contents returns every file below a folder.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	must(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(p)
		m[p] = string(b) + fmt.Sprint(statOf(t, p))
		return err
	}))
	return m
}

// TestBundleGit: what no remote has, and nothing else, comes back out of the bundle.
func TestBundleGit(t *testing.T) {
	base := t.TempDir()
	remote, dir, again := filepath.Join(base, "remote.git"), filepath.Join(base, "work"), filepath.Join(base, "again")
	git(t, base, "init", "-q", "--bare", remote)
	git(t, base, "init", "-q", dir)
	commit(t, dir, "pushed")
	git(t, dir, "remote", "add", "origin", remote)
	git(t, dir, "push", "-q", "origin", "main")
	commit(t, dir, "unpushed")
	git(t, dir, "checkout", "-q", "-b", "topic")
	commit(t, dir, "topical")
	must(t, os.WriteFile(dir+"/unknown", []byte("of the oldest"), 0o644))
	git(t, dir, "stash", "-q", "-u", "-m", "the oldest")
	oldest := git(t, dir, "rev-parse", "stash")
	must(t, os.WriteFile(dir+"/topical", []byte("of the second"), 0o644))
	git(t, dir, "stash", "-q")
	must(t, os.WriteFile(dir+"/pushed", []byte("stashed"), 0o644))
	git(t, dir, "stash", "-q")
	before := CaptureGit(t.Context(), dir, realRunner(t), "")
	b, stashes, err := BundleGit(t.Context(), dir, GitState{Head: "known", Stashes: 1}, realRunner(t), "")
	if err != nil || len(b) == 0 || stashes != 3 {
		t.Fatalf("%d bytes, %d stashes, %v", len(b), stashes, err)
	}
	bundle := filepath.Join(base, "git.bundle")
	must(t, os.WriteFile(bundle, b, 0o600))
	git(t, base, "clone", "-q", remote, again)
	git(t, again, "fetch", "-q", bundle, "refs/heads/*:refs/heads/*", "refs/stash:refs/bundled/stash", "refs/stashes/*:refs/bundled/*", "--update-head-ok")
	git(t, again, "checkout", "-q", "-f", "topic")
	after := CaptureGit(t.Context(), again, realRunner(t), "")
	if after.Head != before.Head || after.Unpushed != 2 || !reflect.DeepEqual(after.Branches, before.Branches) {
		t.Errorf("%+v, was %+v", after, before)
	}
	git(t, again, "stash", "apply", "-q", "refs/bundled/stash")
	if b, err := os.ReadFile(again + "/pushed"); string(b) != "stashed" {
		t.Errorf("the stash: %q, %v", b, err)
	}
	if got := git(t, again, "show", "refs/bundled/1:topical"); got != "of the second" {
		t.Errorf("the second newest stash: %q", got)
	}
	if got := git(t, again, "show", "refs/bundled/2^3:unknown"); got != "of the oldest" {
		t.Errorf("the oldest stash: %q", got)
	}

	// A stash that is too large keeps nothing else out.
	tooLarge := func(with string) Runner {
		run := realRunner(t)
		return func(ctx context.Context, name string, args ...string) ([]byte, error) {
			if slices.Contains(args, "bundle") && slices.Contains(args, with) {
				return make([]byte, maxBundle+1), nil
			}
			return run(ctx, name, args...)
		}
	}
	for with, want := range map[string]int{strings.TrimSpace(oldest): 1, "refs/stash": 0} {
		b, stashes, err := BundleGit(t.Context(), dir, GitState{Head: "known", Stashes: 1}, tooLarge(with), "")
		if err != nil || len(b) == 0 || stashes != want {
			t.Errorf("%s is too large: %d bytes, %d stashes, want %d, %v", with, len(b), stashes, want, err)
		}
	}
	must(t, os.Remove(dir+"/.git/logs/refs/stash"))
	if s := CaptureGit(t.Context(), dir, realRunner(t), ""); s.Stashes != 1 {
		t.Errorf("a stash without its log: %d", s.Stashes)
	}
	if b, stashes, err := BundleGit(t.Context(), dir, GitState{Head: "known", Stashes: 1}, realRunner(t), ""); err != nil || len(b) == 0 || stashes != 1 {
		t.Errorf("a stash without its log: %d bytes, %d stashes, %v", len(b), stashes, err)
	}
	git(t, dir, "push", "-q", "origin", "main", "topic")
	// Who merges topic there may remove it.
	if b, _, err := BundleGit(t.Context(), dir, GitState{Head: "known"}, realRunner(t), ""); err != nil || len(b) == 0 {
		t.Errorf("a branch that the remote may not keep: %d bytes, %v", len(b), err)
	}
	// Each backup would have it anew: what is large is left to the remote.
	large := func(ctx context.Context, name string, args ...string) ([]byte, error) {
		if slices.Contains(args, "--disk-usage") && !slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--glob") }) {
			return fmt.Appendln(nil, maxExtra+1), nil
		}
		return realRunner(t)(ctx, name, args...)
	}
	if b, _, err := BundleGit(t.Context(), dir, GitState{Head: "known"}, large, ""); err != nil || b != nil {
		t.Errorf("a large branch that the remote has: %d bytes, %v", len(b), err)
	}
	git(t, dir, "update-ref", "-m", "merged", "refs/remotes/origin/main", "topic")
	if b, _, err := BundleGit(t.Context(), dir, GitState{Head: "known"}, realRunner(t), ""); err != nil || b != nil {
		t.Errorf("a bundle of nothing: %d bytes, %v", len(b), err)
	}
	if _, _, err := BundleGit(t.Context(), dir, GitState{Head: "known", Stashes: 1}, tooLarge("refs/stash"), ""); err == nil || !strings.Contains(err.Error(), "more than 50 MB") {
		t.Errorf("nothing but stashes that are too large: %v", err)
	}
	// What only a remote has that no restore asks is not to be had.
	commit(t, dir, "elsewhere")
	git(t, dir, "remote", "add", "odd", "ext::odd")
	for _, remote := range []string{"gone", "odd"} {
		git(t, dir, "update-ref", "refs/remotes/"+remote+"/main", "topic")
	}
	if b, _, err := BundleGit(t.Context(), dir, GitState{Head: "known"}, realRunner(t), ""); err != nil || len(b) == 0 {
		t.Errorf("what only a remote has that no restore asks: %d bytes, %v", len(b), err)
	}
}

// TestRemotesAsked: what counts as on a remote is what restore_maia.sh fetches, by its own rule.
func TestRemotesAsked(t *testing.T) {
	script, err := os.ReadFile("../../resources/restore_maia.sh")
	must(t, err)
	_, rule, ok1 := strings.Cut(string(script), `awk -v bad="$WORK/remotes.bad" '`)
	rule, _, ok2 := strings.Cut(rule, `' > "$WORK/remotes"`)
	if !ok1 || !ok2 {
		t.Fatal("the script's rule is not where it was")
	}
	g := newGitCapture("/home/me/maia", realRunner(t), "", &GitState{})
	good := 0
	check := func(r GitRemote) {
		encoded := strings.NewReplacer(`\`, `\0134`, " ", `\0040`, "\t", `\0011`, "ü", `\0303\0274`).Replace(r.Name + "\x00" + r.URL)
		cmd := exec.Command("awk", "-v", "bad=/dev/null", rule)
		cmd.Stdin = strings.NewReader("to /home/me/maia/\nremote " + strings.Replace(encoded, "\x00", " ", 1) + "\n")
		out, err := cmd.Output()
		must(t, err)
		if asked := len(out) > 0; g.asks(r) != asked {
			t.Errorf("%q at %q: taken to be asked: %t; the script asks: %t", r.Name, r.URL, !asked, asked)
		} else if asked {
			good++
		}
	}
	for _, url := range []string{
		"https://github.com/me/x.git", "https://me@host.example:8443/x", "ssh://git@host/x", "git@github.com:me/x.git", "host:x", "gh:x", "a:x", "file:///srv/x.git", "/srv/x.git", "/srv/my x.git", "/srv/ü.git",
		"/home/me/maia/x.git", "/home/me/maia", "/home/me/maia2", "file:///home/me/maia/x", "/srv/../x", "/srv//x", "/srv/.", "/srv/x..y", "file://relative", "../x.git", "~/x.git", "x", "-",
		"http://host/x", "git://host/x", "ftp://host/x", "fd::17", "ext::sh -c x", "https::x", "https://", "https://host", "https://host/", "https://host/-x", "https://ho st/x", "https://host/a b", "https://host/ü",
		"ssh://-oProxyCommand=x/y", "ssh://a@-b/x", "git@-x:y", "git@host:-x", `https://host/a\b`, `/srv/a\b`, "transport::/x", "host::x", "a@b@c:x", "https://a@b@c/x",
	} {
		check(GitRemote{"origin", url})
	}
	for _, name := range []string{"a.b", "-x", "a..b", "a.", "x.lock", "team/x", "ü", "a b", "_", ".x", strings.Repeat("n", 100), strings.Repeat("n", 101)} {
		check(GitRemote{name, "https://host/x"})
	}
	if good < 10 {
		t.Errorf("only %d are asked", good)
	}
}
