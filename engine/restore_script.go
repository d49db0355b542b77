package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"maia-dr/engine/component"
	"maia-dr/engine/repository"
)

// Phase is a part of a restore that restore_maia.sh alone can do: it exists once, there.
type Phase string

// PhasePackages installs the packages of a proven backup, on a Mac. PhaseGit brings the git history back, from its remotes
// and from the bundle in the vault.
const (
	PhasePackages Phase = "packages"
	PhaseGit      Phase = "git"
)

// Phases are all of them, in the order in which they are done: git may come with the packages.
var Phases = []Phase{PhasePackages, PhaseGit}

// PhaseOptions say whether and how a restore goes on with the phases, by running restore_maia.sh.
type PhaseOptions struct {
	// Skip are those that are not to be done.
	Skip []Phase
	// AskNothing: the script asks no question. Otherwise it asks on the terminal of this process.
	AskNothing bool
	// Out and Err get what the script says; nil: nothing is run.
	Out, Err io.Writer
}

// PhaseResult is what came of the phases.
type PhaseResult struct {
	Phases []Phase `json:"phases"`
	// ExitCode is the script's, from the table that it shares with this program: 0, all is done; 3, something is left,
	// which it has said; 130, the user put them off.
	ExitCode int `json:"exit_code"`
}

// phasesOf returns the phases that were asked for by name, and the components that were.
func phasesOf(only []string) (phases []Phase, components []string) {
	for _, name := range only {
		if slices.Contains(Phases, Phase(name)) {
			phases = append(phases, Phase(name))
		} else {
			components = append(components, name)
		}
	}
	return phases, components
}

// planPhases decides which phases follow the restore: those that make sense for the whole of a Maia that comes back
// for good, and that this machine can do.
func (r *restore) planPhases() {
	if r.opt.Phases.Out == nil || r.rehearsal != nil || len(r.opt.Only)+len(r.opt.Paths) > 0 || r.opt.BesideOriginal {
		return
	}
	if r.whyNoPackages() == nil && r.hasPackages() && !slices.Contains(r.opt.Phases.Skip, PhasePackages) {
		r.plan.Phases = append(r.plan.Phases, PhasePackages)
	}
	if r.whyNoGit() == nil && r.hasHistory() && !slices.Contains(r.opt.Phases.Skip, PhaseGit) {
		r.plan.Phases = append(r.plan.Phases, PhaseGit)
		for _, remote := range systemOf(r.m).Git.Remotes {
			r.plan.GitRemotes = append(r.plan.GitRemotes, remote.URL)
		}
	}
	r.plan.HistoryLeftOut = r.historyLeftOut()
}

// historyLeftOut says why the history does not come back, or not all of it; empty: it does, is there, or is not wanted.
func (r *restore) historyLeftOut() string {
	g := systemOf(r.m).Git
	switch {
	case !g.Present, slices.Contains(r.opt.Phases.Skip, PhaseGit), slices.ContainsFunc(r.files, inGitFolder), exists(filepath.Join(r.opt.To, ".git")):
		return ""
	case r.whyNoGit() != nil:
		return "the git history is not brought back, as nothing proves who made this backup"
	case r.vault != nil && !g.NoRemote:
		return ""
	}
	return historyLeftOut(r.m, r.files)
}

// hasHistory reports whether there is a history to bring back: one that is neither among the files nor there already.
func (r *restore) hasHistory() bool {
	if _, err := os.Lstat(filepath.Join(r.opt.To, ".git")); !errors.Is(err, fs.ErrNotExist) && !isNotDir(err) {
		return false
	}
	g := gitOf(systemOf(r.m).Git)
	return g != nil && len(g.Remotes) > 0 && !slices.ContainsFunc(r.files, inGitFolder)
}

// whyNoGit says what forbids to bring the history back: an unproven backup that could be proven.
func (r *restore) whyNoGit() error {
	if (r.m.PasswordNumber > 0 || r.plan.Stripped) && !r.plan.Authenticated {
		return &Error{Op: "bring the git history back", Code: CodePasswordMissing, Err: errors.New("nothing proves who made the backup"), Hint: "give the vault password with --vault-password-file FILE"}
	}
	return nil
}

// hasPackages reports whether the backup lists any.
func (r *restore) hasPackages() bool {
	return slices.ContainsFunc(r.files, func(f repository.File) bool { return f.Component == component.Dependencies })
}

// whyNoPackages says what forbids to install packages: they run code as the user, so the backup has to be proven, and
// they go to this user's own Python and Homebrew.
func (r *restore) whyNoPackages() error {
	switch {
	case !r.plan.Authenticated:
		return &Error{Op: "install packages", Code: CodePasswordMissing, Err: errors.New("nothing proves who made the backup"), Hint: "give the vault password with --vault-password-file FILE"}
	case r.home == nil || r.home.root != realPath(r.e.env.Home):
		return &Error{Op: "install packages", Code: CodeUsage, Err: errors.New("they go to your own home alone"), Hint: "run it as the user whose home it is, with --target-home"}
	case !r.e.inPath("xcode-select"):
		return &Error{Op: "install packages", Code: CodeUsage, Err: errors.New("that is for a Mac alone"), Hint: "the lists lie in " + BesideDir + "/packages"}
	}
	return nil
}

func (e *Engine) inPath(tool string) bool {
	for _, dir := range filepath.SplitList(e.env.Getenv("PATH")) {
		if fi, err := os.Stat(filepath.Join(dir, tool)); filepath.IsAbs(dir) && err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return true
		}
	}
	return false
}

// onlyPhases makes the plan of a restore that was asked for phases alone.
func (r *restore) onlyPhases(phases []Phase) error {
	if r.opt.Phases.Out == nil {
		return &Error{Op: "restore", Code: CodeUsage, Err: errors.New("there is nowhere to say what the script says")}
	}
	if fi, err := os.Stat(r.opt.To); err != nil || !fi.IsDir() {
		return &Error{Op: "restore", Path: r.opt.To, Code: CodeUsage, Err: errors.New("there is no Maia"), Hint: "restore it first, or say where it is with --to DIR"}
	}
	if slices.Contains(phases, PhasePackages) {
		if err := r.whyNoPackages(); err != nil {
			return err
		}
	}
	if slices.Contains(phases, PhaseGit) {
		if err := r.whyNoGit(); err != nil {
			return err
		}
	}
	for _, p := range Phases {
		if slices.Contains(phases, p) {
			r.plan.Phases = append(r.plan.Phases, p)
		}
	}
	return nil
}

// runPhases runs the script for the planned phases. How it ends is a result: by now every file is in place. An error is
// that it could not be run.
func (r *restore) runPhases() error {
	if len(r.plan.Phases) == 0 {
		return nil
	}
	repo, err := r.scriptSource()
	if err != nil {
		return err
	}
	var names []string
	for _, p := range r.plan.Phases {
		names = append(names, string(p))
	}
	args := []string{"/dev/fd/3", "--only", strings.Join(names, ","), "--repository", repo.Dir, "--backup", r.m.BackupID, "--to", r.opt.To}
	if r.home != nil {
		args = append(args, "--target-home", r.home.root)
	}
	if len(r.places) > 0 {
		// This restore has loaded some already, and does the others itself.
		args = append(args, "--no-agents")
	}
	for _, m := range r.opt.Maps {
		args = append(args, "--map", m[0]+"="+m[1])
	}
	if r.opt.DryRun {
		args = append(args, "--dry-run")
	}
	if r.opt.Phases.AskNothing {
		args = append(args, "--yes")
	}
	var stdin io.Reader
	if r.password != nil {
		args = append(args, "--vault-password-file", "-")
		stdin = bytes.NewReader(append(r.password.Reveal(), '\n'))
	}
	code, err := r.e.runEmbedded(r.ctx, args, stdin, r.opt.Phases.Out, r.opt.Phases.Err)
	if err != nil {
		return err
	}
	r.res.Phases = &PhaseResult{Phases: r.plan.Phases, ExitCode: code}
	r.activateWaiting()
	return nil
}

// scriptSource is the copy of the repository that the script reads: the first with this backup's lists.
func (r *restore) scriptSource() (repository.Repo, error) {
	for _, repo := range r.repos {
		_, err1 := os.Stat(repo.Path(r.m.BackupID, repository.ManifestName))
		_, err2 := os.Stat(repo.Path(r.m.BackupID, repository.RestoreIndexName))
		if err1 == nil && err2 == nil {
			return repo, nil
		}
	}
	return repository.Repo{}, fmt.Errorf("%s: %w", r.m.BackupID, repository.ErrMissing)
}

// runEmbedded runs the embedded restore_maia.sh and returns its exit code. The script comes through a pipe, and so does
// the password in stdin: nothing of either is in an argument or on the disk. The script stays in this process's session,
// as it may ask on the terminal.
func (e *Engine) runEmbedded(ctx context.Context, args []string, stdin io.Reader, out, errs io.Writer) (int, error) {
	script, feed, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("run restore_maia.sh: %w", err)
	}
	cmd := exec.CommandContext(ctx, "/bin/bash", args...)
	cmd.Env, cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = e.scriptEnvironment(), "/", stdin, out, errs
	cmd.ExtraFiles = []*os.File{script}
	// It cleans up behind itself when it is asked to end.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Start()
	script.Close()
	if err != nil {
		feed.Close()
		return 0, fmt.Errorf("run restore_maia.sh: %w", err)
	}
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		// A script that ends early does not read all of itself: Wait says with what.
		_, _ = feed.Write(e.opt.Script)
		feed.Close()
	}()
	err = cmd.Wait()
	<-fed
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, fmt.Errorf("run restore_maia.sh: %w", err)
	}
	return cmd.ProcessState.ExitCode(), nil
}

// scriptEnvironment is that of the user as far as a script, Homebrew, pip and git need it.
func (e *Engine) scriptEnvironment() []string {
	env := []string{"HOME=" + e.env.Home}
	for _, name := range []string{"PATH", "USER", "LOGNAME", "SHELL", "TMPDIR", "TERM", "LANG", "LC_ALL", "TZ", "DEVELOPER_DIR", "SSH_AUTH_SOCK",
		"http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"} {
		if v := e.env.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}
