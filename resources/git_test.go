package resources

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// commits makes a bare repository with one commit, and returns the commit.
func commits(t testing.TB, dir string) string {
	t.Helper()
	git := func(args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_CONFIG_NOSYSTEM=1"}
		for _, who := range []string{"AUTHOR", "COMMITTER"} {
			cmd.Env = append(cmd.Env, "GIT_"+who+"_NAME=n", "GIT_"+who+"_EMAIL=e", "GIT_"+who+"_DATE=1700000000 +0000")
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "--bare", dir)
	tree := git("--git-dir="+dir, "mktree", "--missing")
	commit := git("--git-dir="+dir, "commit-tree", "-m", "one", tree)
	git("--git-dir="+dir, "update-ref", "refs/heads/main", commit)
	return commit
}

// recordGit puts a recorder in front of git: its arguments go to the file that is returned.
func (m *machine) recordGit() string {
	m.t.Helper()
	log := filepath.Join(filepath.Dir(m.home), "git.log")
	m.tool("git", "git")
	m.wrap("git", `printf '%s\n' "$*" >> '`+log+`'
exec REAL "$@"`)
	return log
}

// TestHostileGit: what a backup says of git is data. No address that could run something, be an option, or lie in the
// backup itself is given to git; names that git would not take are told.
func TestHostileGit(t *testing.T) {
	t.Parallel()
	place := filepath.Join(t.TempDir(), "$(touch pwned) remote.git")
	commit := commits(t, place)
	to := newTarget(t)
	evil := []string{
		"ext::sh -c 'touch pwned'", "--upload-pack=touch pwned", "-oProxyCommand=touch", "ssh://-oProxyCommand=touch/x", "ssh://a@-b/x", "git@-x:y", "git@host:-x", "http://example.com/x",
		"git://example.com/x", "ftp://example.com/x", "fd::17", "https::x", "https://", "file://relative", "relative/path", "", "/../x", to + "/claude", "file://" + to + "/x", to + "/a/../b",
		"https://exa mple.com/x", "ssh://h\x1b[31m/x", "transport::/x", "https://example.com/-x",
	}
	b := smallRepository(t, func(b *builder) {
		b.git = []string{
			"git state " + commit + " main 0 0 0 0", "git branch " + commit + " main origin refs/heads/main", "git branch " + commit + " " + encode("-x") + " - -",
			"git branch " + commit + " " + encode("a..b") + " - -", "git branch " + commit + " " + encode("../../config") + " - -", "git branch " + commit + " " + encode("ü $(touch pwned)") + " - -",
			"git branch " + commit + " up " + encode("evil0") + " refs/heads/main", "git branch " + commit + " sideways origin " + encode("--x"),
			"git branch " + strings.Repeat("0", 40) + " lost - -", "git remote origin " + encode(place),
		}
		for i, url := range evil {
			b.git = append(b.git, "git remote evil"+string(rune('a'+i))+" "+encode(url))
		}
		for _, name := range []string{"-x", "--all", "a b", "../x", "x.lock", "a/b", "", "$(touch pwned)", "origin"} {
			b.git = append(b.git, "git remote "+encode(name)+" "+encode(place+"2"))
		}
	})
	m := newMachine(t, "bsdtar", "perl")
	log := m.recordGit()
	script := filepath.Join(b.dir, "restore_maia.sh")
	m.run(script, "--to", to, "--dry-run").want(t, 0, "the history comes from origin ("+place+")", "not asked, as its name or address is unusual")
	m.run(script, "--to", to, "--yes", "--no-git").want(t, 0)
	if text, err := os.ReadFile(log); err == nil {
		t.Fatalf("git was run: %s", text)
	}
	r := m.run(script, "--to", to, "--yes")
	r.want(t, 0, "The git history is back, at "+commit[:12]+" of main.", "../../config is no name for a branch", "the branch lost stood at 000000000000, which is not to be had",
		"a..b is no name for a branch", "ü $(touch pwned) is no name for a branch")
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range evil {
		if url != "" && bytes.Contains(text, []byte(" "+url+"\n")) {
			t.Errorf("git was given %q", url)
		}
	}
	fetches := 0
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, " fetch ") {
			fetches++
			if !strings.HasSuffix(line, " -- origin\n") || !strings.Contains(line, "protocol.ext.allow=never") || !strings.Contains(line, "core.hooksPath=/dev/null") {
				t.Errorf("it fetched with %s", line)
			}
		}
	}
	config, err := os.ReadFile(filepath.Join(to, ".git/config"))
	if err != nil || fetches != 1 || bytes.Contains(config, []byte("evil")) || bytes.Contains(config, []byte("--x")) || bytes.Count(config, []byte("[remote ")) != 1 {
		t.Errorf("%d fetches, %v\n%s", fetches, err, config)
	}
	for _, dir := range []string{m.home, to, filepath.Dir(to), filepath.Dir(place)} {
		if found := glob(t, dir+"/pwned"); len(found) > 0 {
			t.Errorf("executed: %v", found)
		}
	}
	if hooks, err := os.ReadDir(filepath.Join(to, ".git/hooks")); err == nil && len(hooks) > 0 {
		t.Errorf("there are hooks: %v", hooks)
	}
}

// TestGitWaits: without a git that opens no dialog, or with a .git that is there, or without the proof that there could be,
// none is made; lines that no writer writes refuse the backup.
func TestGitWaits(t *testing.T) {
	t.Parallel()
	place := filepath.Join(t.TempDir(), "remote.git")
	commit := commits(t, place)
	lines := []string{"git state " + commit + " - 0 15 0 0", "git remote origin " + encode("file://"+place)}
	b := smallRepository(t, func(b *builder) { b.git = lines })
	script := filepath.Join(b.dir, "restore_maia.sh")
	m := newMachine(t, "bsdtar", "perl")
	to := newTarget(t)
	m.run(script, "--to", to, "--only", "git", "--yes").want(t, 1, "there is no Maia in "+to)
	m.run(script, "--to", to, "--yes").want(t, 3, "git is not here yet: xcode-select --install", "the same command with --only git")
	m.tool("git", "git")
	m.run(script, "--to", to, "--only", "git", "--yes").want(t, 0, "The git history is back, at "+commit[:12]+" of no branch.", "git status shows 0 changed and")
	// Killed while it fetches, and run again.
	killed := newMachine(t, "bsdtar", "perl")
	killed.tool("git", "git")
	killed.wrap("git", `case "$*" in *" fetch "*) if [ ! -e "$HOME/../killed" ]; then : > "$HOME/../killed"; kill -9 $PPID; exit 1; fi ;; esac
exec REAL "$@"`)
	twice := newTarget(t)
	if err := killed.command(script, "--to", twice, "--yes").Run(); err == nil {
		t.Fatal("it was not killed")
	}
	if _, err := os.Lstat(twice + "/.git"); err == nil {
		t.Error("half a history was put into place")
	}
	killed.run(script, "--to", twice, "--yes").want(t, 0, "Every file is in place. The git history is not there yet.", "The git history is back")
	head, err := os.ReadFile(filepath.Join(to, ".git/HEAD"))
	if err != nil || string(head) != commit+"\n" {
		t.Errorf("HEAD is %q: %v", head, err)
	}
	m.run(script, "--to", to, "--only", "git", "--yes").want(t, 0, "is there already and stays as it is", "There is nothing to do.")
	for name, bad := range map[string][]string{
		"no state": {lines[1]}, "twice": {lines[0], lines[0]}, "no commit": {"git state abc - 0 0 0 0"}, "kind": {lines[0], "git hook x"}, "no number": {"git state " + commit + " - 0 x 0 0"},
		"encoded": {lines[0], `git remote origin \0141`},
	} {
		b := smallRepository(t, func(b *builder) { b.git = bad })
		if r := m.run(filepath.Join(b.dir, "restore_maia.sh"), "--to", newTarget(t), "--yes"); r.code != 1 || !strings.Contains(r.text, "is not what maia-dr writes") {
			t.Errorf("%s: %d\n%s", name, r.code, r.text)
		}
	}
	// What was pushed nowhere and is in no vault is lost; the rest is not.
	lost := strings.Repeat("1", 40)
	part := smallRepository(t, func(b *builder) {
		b.git = []string{"git state " + lost + " main 0 0 1 0", "git branch " + lost + " main origin refs/heads/main", lines[1]}
	})
	to = newTarget(t)
	m.run(filepath.Join(part.dir, "restore_maia.sh"), "--to", to, "--yes").want(t, 3, "The git history is back in part, at "+commit[:12], "111111111111, is on no remote and not in the vault")
	if head, err := os.ReadFile(filepath.Join(to, ".git/refs/heads/main")); err != nil || string(head) != commit+"\n" {
		t.Errorf("main is %q: %v", head, err)
	}
	alone := smallRepository(t, func(b *builder) { b.git = lines[:1] })
	m.run(filepath.Join(alone.dir, "restore_maia.sh"), "--to", newTarget(t), "--yes").want(t, 0, "the history is in no backup: it had no remote")
	sealed := vaultRepository(t, func(b *builder) { b.git = lines })
	m.run(filepath.Join(sealed.dir, "restore_maia.sh"), "--to", newTarget(t), "--yes").want(t, 3, "the history is not brought back, as nothing proves who made this backup")
}
