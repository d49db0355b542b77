package engine_test

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/component"
	"maia-dr/engine/repository"
	"maia-dr/packaging/ci/faults/matrix"
)

// git runs the real git as somebody who has no configuration.
func (w *two) git(dir string, args ...string) string {
	w.t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=n", "-c", "user.email=e", "-c", "init.defaultBranch=main"}, args...)...)
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.bin, "GIT_CONFIG_NOSYSTEM=1"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// realTools are those of this machine.
func (w *two) realTools() component.Runner {
	return component.NewRunner(w.oldHome, func(name string) string { return map[string]string{"PATH": os.Getenv("PATH")}[name] })
}

// history makes the Maia a repository with everything: pushed and unpushed commits on two branches, a stash, files that
// are changed, gone, executable, unknown and ignored. It returns the remote.
func (w *two) history() string {
	w.t.Helper()
	remote := w.oldHome + "/remote place.git"
	w.git(w.oldHome, "init", "-q", "--bare", remote)
	w.git(w.root, "init", "-q")
	w.write(w.root+"/.gitignore", "*.o\n")
	w.write(w.root+"/gone", "x")
	w.git(w.root, "add", "-A")
	w.git(w.root, "commit", "-qm", "one")
	w.git(w.root, "remote", "add", "origin", remote)
	w.git(w.root, "remote", "add", "evil", "ext::sh -c touch% "+w.home+"/pwned")
	w.git(w.root, "push", "-qu", "origin", "main")
	w.git(w.root, "tag", "v1")
	w.git(w.root, "push", "-q", "origin", "v1")
	w.write(w.root+"/CLAUDE.md", "# Maia two\n")
	w.git(w.root, "commit", "-qam", "two, unpushed")
	w.git(w.root, "checkout", "-qb", "work/ünï")
	w.write(w.root+"/claude/new.py", "print(2)\n")
	w.git(w.root, "add", "-A")
	w.git(w.root, "commit", "-qm", "three, unpushed")
	w.write(w.root+"/idea", "unknown, stashed\n")
	w.git(w.root, "stash", "-qu", "-m", "an older idea: ünï")
	w.write(w.root+"/claude/new.py", "print(3)\n")
	w.git(w.root, "stash", "-q")
	w.write(w.root+"/CLAUDE.md", "# stashed\n")
	w.git(w.root, "stash", "-q")
	w.write(w.root+"/CLAUDE.md", "# dirty\n")
	w.write(w.root+"/new\nline", "unknown\n")
	w.write(w.root+"/a.o", "ignored\n")
	if err := os.Remove(w.root + "/gone"); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Chmod(w.root+"/claude/run.py", 0o755); err != nil {
		w.t.Fatal(err)
	}
	return remote
}

// removeAtRemote removes a branch from a remote, with what only it has: git fetch gets it no more, and refs/remotes still names it.
func (w *two) removeAtRemote(remote, branch string) {
	w.t.Helper()
	w.git(remote, "update-ref", "-d", "refs/heads/"+branch)
	w.git(remote, "reflog", "expire", "--expire=now", "--all")
	w.git(remote, "gc", "-q", "--prune=now")
}

// gitWarnings makes a backup and returns what it warns of git.
func (w *two) gitWarnings() (told []string) {
	w.t.Helper()
	for _, warning := range w.backup().Warnings {
		if strings.HasPrefix(warning.Code, "git_") {
			told = append(told, warning.Text)
		}
	}
	return told
}

// stands is what git says of a repository.
func (w *two) stands(dir string) string {
	w.t.Helper()
	var b strings.Builder
	for _, args := range []string{"status --porcelain", "status", "log --all --format=%H%x20%D%x20%s", "branch -vv", "stash list", "stash show -p", "stash show -p stash@{1}", "show stash@{2}^3", "tag", "fsck --no-dangling"} {
		b.WriteString("git " + args + "\n" + w.git(dir, strings.Fields(args)...))
	}
	// The remote that is no address was not taken over; ours are not for git to see.
	return b.String()
}

// TestGitHistory: after a restore, by the program or by the script, git says what it said. A remote that would run
// something is not asked; without network it waits, and goes on alone; a .git that is there is not touched.
func TestGitHistory(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "26")
	w := newTwo(t)
	remote := w.history()
	w.run = w.realTools()
	want := w.stands(w.root)
	if told := w.gitWarnings(); len(told) > 0 {
		t.Errorf("all of git is in the backup, which says: %q", told)
	}

	// Without network, which here is the remote's folder.
	away := remote + ".away"
	if err := os.Rename(remote, away); err != nil {
		t.Fatal(err)
	}
	res, said, err := w.restore(nil)
	if err != nil || !res.Done || res.Phases == nil || res.Phases.ExitCode != 3 || !strings.Contains(said, "origin cannot be fetched") || !strings.Contains(said, "--only git") {
		t.Fatalf("without network: %v %+v\n%s", err, res, said)
	}
	if _, err := os.Lstat(w.to + "/.git"); err == nil {
		t.Error("half a history was put into place")
	}
	if left, err := filepath.Glob(w.to + "/maia-recovered/git.partial/bundle"); err != nil || len(left) > 0 {
		t.Errorf("a part of the vault lies about: %v %v", left, err)
	}
	if err := os.Rename(away, remote); err != nil {
		t.Fatal(err)
	}
	only := func(o *engine.RestoreOptions) { o.Only = []string{string(engine.PhaseGit)} }
	if _, _, err := w.restore(func(o *engine.RestoreOptions) { only(o); o.Password = nil }); engine.CodeOf(err) != engine.CodePasswordMissing {
		t.Errorf("unproven: %v", err)
	}
	res, said, err = w.restore(only)
	if err != nil || res.Phases.ExitCode != 0 || !strings.Contains(said, "The git history is back") {
		t.Fatalf("%v %+v\n%s", err, res, said)
	}
	if got := w.stands(w.to); got != want {
		t.Errorf("by the program, git says\n%s\nwant\n%s", got, want)
	}
	config := w.git(w.to, "config", "--list", "--local")
	if !strings.Contains(config, "remote.origin.url="+remote+"\n") || strings.Contains(config, "ext::") || !strings.Contains(said, "not asked, as its name or address is unusual: evil") {
		t.Errorf("the configuration is\n%s\n%s", config, said)
	}

	// By the script.
	byScript := filepath.Join(w.home, "by script")
	cmd := exec.Command("bash", filepath.Join(w.oneDrive, repository.DirName, repository.ScriptName), "--to", byScript, "--yes", "--no-packages", "--vault-password-file", "-")
	cmd.Env, cmd.Stdin = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.home}, strings.NewReader(testPassword+"\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := w.stands(byScript); got != want {
		t.Errorf("by the script, git says\n%s\nwant\n%s\n%s", got, want, out)
	}
	if _, err := os.Lstat(w.home + "/pwned"); err == nil {
		t.Error("a remote was executed")
	}
}

// TestStashTooLarge: where all stashes would be too large, the newest and the commits are in the backup, and both the backup and the
// restore say how many are not.
func TestStashTooLarge(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "26")
	w := newTwo(t)
	w.history()
	oldest := strings.TrimSpace(w.git(w.root, "rev-parse", "stash@{2}"))
	want := w.git(w.root, "stash", "show", "-p")
	run := w.realTools()
	w.run = func(ctx context.Context, name string, args ...string) ([]byte, error) {
		if slices.Contains(args, "bundle") && slices.Contains(args, oldest) {
			return make([]byte, 51<<20), nil
		}
		return run(ctx, name, args...)
	}
	res := w.backup()
	i := slices.IndexFunc(res.Warnings, func(warning repository.Warning) bool { return warning.Code == "git_stash_not_captured" })
	if i < 0 || res.Warnings[i].Text != "2 stashes are not in the backup" {
		t.Errorf("the backup says %+v", res.Warnings)
	}
	_, said, err := w.restore(nil)
	if err != nil || !strings.Contains(said, "of 3 stashes 1 came back") {
		t.Fatalf("%v\n%s", err, said)
	}
	if got := w.git(w.to, "stash", "show", "-p"); got != want {
		t.Errorf("the newest stash is\n%s\nwant\n%s", got, want)
	}
	if got := w.git(w.to, "log", "-1", "--format=%s"); got != "three, unpushed\n" {
		t.Errorf("HEAD is %q", got)
	}
}

// TestStashOfGoneBranch: a stash that is based on a branch which the remote has no more, though it is still known here, comes back with
// everything else. One whose content is damaged costs only the older stashes, and the backup says so.
func TestStashOfGoneBranch(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "26")
	w := newTwo(t)
	remote := w.history()
	w.run = w.realTools()
	w.git(w.root, "stash", "-qu", "-m", "before")
	w.git(w.root, "checkout", "-qb", "merged", "origin/main")
	w.write(w.root+"/CLAUDE.md", "# merged\n")
	w.git(w.root, "commit", "-qam", "merged elsewhere")
	w.git(w.root, "push", "-q", "origin", "merged")
	w.write(w.root+"/CLAUDE.md", "# an idea on it\n")
	w.git(w.root, "stash", "-qm", "on what is gone")
	w.git(w.root, "checkout", "-q", "work/ünï")
	w.git(w.root, "branch", "-qD", "merged")
	w.removeAtRemote(remote, "merged")
	want := w.git(w.root, "stash", "list") + w.git(w.root, "stash", "show", "-p") + w.git(w.root, "log", "-1", "--format=%H")
	if told := w.gitWarnings(); len(told) > 0 {
		t.Errorf("the backup says %q", told)
	}
	_, said, err := w.restore(nil)
	if err != nil || !strings.Contains(said, "The git history is back") {
		t.Fatalf("%v\n%s", err, said)
	}
	if got := w.git(w.to, "stash", "list") + w.git(w.to, "stash", "show", "-p") + w.git(w.to, "log", "-1", "--format=%H"); got != want {
		t.Errorf("git says\n%s\nwant\n%s", got, want)
	}

	blob := strings.TrimSpace(w.git(w.root, "rev-parse", "stash@{2}:CLAUDE.md"))
	remove(t, filepath.Join(w.root, ".git/objects", blob[:2], blob[2:]))
	if told := w.gitWarnings(); !slices.Equal(told, []string{"4 stashes are not in the backup"}) {
		t.Errorf("of a stash that is damaged the backup says %q", told)
	}
	w.to += " again"
	if _, said, err := w.restore(nil); err != nil || !strings.Contains(said, "The git history is back") || !strings.Contains(said, "of 5 stashes 1 came back") {
		t.Errorf("without a stash that is damaged: %v\n%s", err, said)
	}
}

// TestNotAtRemote: what was on a remote, and is not to be had there at the restore, comes back, and keeps nothing else from coming back: a
// branch that was merged and removed, a remote that no restore asks, a main branch of another name, a .git elsewhere.
func TestNotAtRemote(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "26")
	pushed := func(w *two) { w.git(w.root, "push", "-q", "origin", "main", "work/ünï") }
	more := func(w *two) {
		w.git(w.root, "checkout", "-q", "merged")
		w.write(w.root+"/CLAUDE.md", "# and more\n")
		w.git(w.root, "commit", "-qam", "and more")
	}
	noStash := func(w *two) { w.git(w.root, "stash", "clear") }
	for name, prepare := range map[string][]func(w *two){
		"all of it was pushed": {pushed, noStash},
		"more came on it":      {more, noStash},
		"beside stashes":       {more},
		"beside much": {more, func(w *two) {
			big := make([]byte, 3<<20)
			rand.NewChaCha8([32]byte{}).Read(big)
			w.write(w.root+"/big", string(big))
			w.git(w.root, "add", "big")
			w.git(w.root, "commit", "-qm", "much")
		}},
		"a remote that is not asked": {func(w *two) {
			w.git(w.oldHome, "init", "-q", "--bare", w.oldHome+"/git/near.git")
			w.git(w.root, "remote", "add", "near", "../near.git")
			w.git(w.root, "push", "-q", "near", "work/ünï:main")
		}},
		"no remote that is asked": {noStash, func(w *two) { w.git(w.root, "remote", "set-url", "origin", "http://example.invalid/x.git") }},
		"a main branch of another name": {more, func(w *two) {
			w.git(w.oldHome+"/remote place.git", "config", "receive.denyDeleteCurrent", "ignore")
			w.git(w.root, "push", "-q", "origin", "main:principal")
			w.git(w.root, "push", "-q", "origin", ":main")
			w.git(w.root, "branch", "-q", "--set-upstream-to=origin/principal", "main")
		}},
		"its folder is elsewhere": {func(w *two) { w.git(w.root, "init", "-q", "--separate-git-dir", w.oldHome+"/elsewhere.git") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTwo(t)
			remote := w.history()
			w.run = w.realTools()
			w.git(w.root, "stash", "-qu")
			w.git(w.root, "checkout", "-qb", "merged", "origin/main")
			w.write(w.root+"/CLAUDE.md", "# squashed elsewhere\n")
			w.git(w.root, "commit", "-qam", "squashed elsewhere")
			w.git(w.root, "push", "-qu", "origin", "merged")
			w.git(w.root, "checkout", "-q", "work/ünï")
			for _, do := range prepare {
				do(w)
			}
			w.removeAtRemote(remote, "merged")
			says := func(dir string) string {
				return w.git(dir, "log", "--branches", "--format=%H %S %s") + w.git(dir, "status", "--porcelain") + w.git(dir, "stash", "list") + w.git(dir, "fsck", "--no-dangling")
			}
			want := says(w.root)
			if told := w.gitWarnings(); len(told) > 0 {
				t.Errorf("the backup says %q", told)
			}
			_, said, err := w.restore(nil)
			if err != nil || !strings.Contains(said, "The git history is back,") {
				t.Fatalf("%v\n%s", err, said)
			}
			if got := says(w.to); got != want {
				t.Errorf("git says\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestShallow: what a shallow clone has of a branch that is gone cannot be put back without what came before it. It is said to be lost, and
// the rest is whole.
func TestShallow(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "26")
	w := newTwo(t)
	remote := w.history()
	w.run = w.realTools()
	w.git(w.root, "push", "-q", "origin", "main", "work/ünï:topic")
	remove(t, w.root+"/.git")
	w.git(w.root, "init", "-q")
	w.git(w.root, "remote", "add", "origin", remote)
	w.git(w.root, "fetch", "-q", "--depth=1", "file://"+remote, "+refs/heads/*:refs/remotes/origin/*")
	w.git(w.root, "checkout", "-qfB", "main", "origin/main")
	w.git(w.root, "branch", "-q", "topic", "origin/topic")
	w.write(w.root+"/CLAUDE.md", "# on top\n")
	w.git(w.root, "commit", "-qam", "on top")
	w.removeAtRemote(remote, "topic")
	want := w.git(w.root, "rev-parse", "main")
	w.backup()
	_, said, err := w.restore(nil)
	if err != nil || !strings.Contains(said, "The git history is back,") || !strings.Contains(said, "the branch topic stood at") {
		t.Fatalf("%v\n%s", err, said)
	}
	if got := w.git(w.to, "rev-parse", "main"); got != want {
		t.Errorf("main stands at %s, want %s", got, want)
	}
	if got := w.git(w.to, "log", "--all", "--format=%s") + w.git(w.to, "fsck", "--no-dangling"); !strings.HasPrefix(got, "on top\ntwo, unpushed\none\n") {
		t.Errorf("git says\n%s", got)
	}
}

// TestBundleDamaged: a history without what is in the vault is a part of it, and said to be, though HEAD is on the remote.
func TestBundleDamaged(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "26")
	w := newTwo(t)
	w.history()
	w.git(w.root, "push", "-q", "origin", "main", "work/ünï")
	run := w.realTools()
	w.run = func(ctx context.Context, name string, args ...string) ([]byte, error) {
		out, err := run(ctx, name, args...)
		if slices.Contains(args, "bundle") && len(out) > 40 {
			out[len(out)-30] ^= 1
		}
		return out, err
	}
	w.backup()
	res, said, err := w.restore(nil)
	if err != nil || res.Phases == nil || res.Phases.ExitCode != 3 || !strings.Contains(said, "The git history is back in part") ||
		!strings.Contains(said, "the commits and stashes in the vault cannot be added") || strings.Contains(said, "not in the backup") {
		t.Fatalf("%v %+v\n%s", err, res, said)
	}
}

// TestStashesStay: a run that goes on after one that was killed, and can no longer open the vault, keeps what the first put into place.
func TestStashesStay(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "26")
	w := newTwo(t)
	w.history()
	w.run = w.realTools()
	want := w.git(w.root, "stash", "list") + w.git(w.root, "stash", "show", "-p", "stash@{1}")
	w.backup()
	real, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	// Killed when the last of the three is in place.
	w.tool("git", `case "$*" in
*" --create-reflog "*)
  `+real+` "$@"
  echo >> "`+w.bin+`/stashes"
  if [ "$(wc -l < "`+w.bin+`/stashes")" -eq 3 ]; then kill -9 $PPID; fi ;;
*) exec `+real+` "$@" ;;
esac`)
	script := func() ([]byte, error) {
		cmd := exec.Command("bash", filepath.Join(w.oneDrive, repository.DirName, repository.ScriptName), "--to", w.to, "--yes", "--no-packages", "--vault-password-file", "-")
		cmd.Env, cmd.Stdin = []string{"PATH=" + w.bin + ":" + os.Getenv("PATH"), "HOME=" + w.home}, strings.NewReader(testPassword+"\n")
		return cmd.CombinedOutput()
	}
	if out, err := script(); err == nil {
		t.Fatalf("it was not killed\n%s", out)
	}
	if _, err := os.Lstat(w.to + "/.git"); err == nil {
		t.Fatal("half a history was put into place")
	}
	vaults, err := filepath.Glob(filepath.Join(w.oneDrive, repository.DirName, "full_*", repository.VaultName))
	if err != nil || len(vaults) != 1 {
		t.Fatalf("%v %v", vaults, err)
	}
	remove(t, vaults[0])
	out, _ := script() // it lacks the vault, and says so in its exit code
	if got := w.git(w.to, "stash", "list") + w.git(w.to, "stash", "show", "-p", "stash@{1}"); got != want {
		t.Errorf("git says\n%s\nwant\n%s\n%s", got, want, out)
	}
}
