package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"maia-dr/engine/event"
	"maia-dr/engine/repository"
	"maia-dr/engine/vault"
)

// stockPath is where a fresh Mac has its tools.
const stockPath = "/usr/bin:/bin:/usr/sbin:/sbin"

// scriptLimit is how long the script may take.
const scriptLimit = 2 * time.Hour

// runScript restores with the script that the backup carries, on stock tools. What lies in the scratch afterwards is
// compared with what the Go restore planned. It loads no agent, installs no package and
// asks no git remote: this is only a rehearsal.
func (d *rehearsal) runScript() error {
	repo := d.all.repos[d.folder]
	for _, c := range d.m.Chunks {
		if path := repo.Path(repository.ChunksDir, repository.ChunkName(c.SHA256)); !d.opt.Download && d.evicted(path) {
			return &Error{Op: "drill", Code: CodeFailed, Err: fmt.Errorf("OneDrive has evicted chunks of %s, which the script would download", d.m.BackupID),
				Hint: "allow that with --download, or leave --script out"}
		}
		d.read.note(d.res, c, d.folder == 0, false)
	}
	home, temp := d.r.opt.TargetHome, filepath.Join(d.dir, "tmp")
	if err := d.e.fs.Mkdir(temp, 0o700); err != nil {
		return err
	}
	d.e.phase(event.Read, 0)
	ctx, cancel := context.WithTimeout(d.ctx, scriptLimit)
	defer cancel()
	args := []string{repo.Path(d.m.BackupID, repository.ScriptName), "--repository", repo.Dir, "--backup", d.m.BackupID, "--to", d.r.opt.To,
		"--target-home", home, "--no-agents", "--no-packages", "--no-git", "--yes"}
	cmd := exec.CommandContext(ctx, "/bin/bash", args...)
	if d.password != nil && d.r.vault != nil {
		cmd.Args = append(cmd.Args, "--vault-password-file", "-")
		cmd.Stdin = bytes.NewReader(append(d.password.Reveal(), '\n'))
	}
	cmd.Dir = d.dir
	cmd.Env = []string{"HOME=" + home, "PATH=" + stockPath, "TMPDIR=" + temp, "LC_ALL=C"}
	// A session of its own: it cannot ask on the terminal, and ends with everything that it began.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if cerr := d.ctx.Err(); cerr != nil {
		return cerr
	}
	if err != nil && !d.incomplete(err) {
		d.e.log.Error().Err(err).Str("output", string(out)).Msg("restore script")
		d.problem("the script failed (%v): %s", err, lastLines(string(out), 3))
	}
	for _, p := range d.r.places {
		p.staged = p.dest
	}
	return d.r.checkDatabases()
}

// scriptIncomplete is the script's exit code where it has restored everything that there is, and something is missing or
// doubtful.
const scriptIncomplete = 3

// incomplete reports whether the script only says what is known of the backup: that secrets are not to be had, or that a
// database was broken when it was backed up. Whether there is more to it, the comparison afterwards finds.
func (d *rehearsal) incomplete(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == scriptIncomplete &&
		(len(d.r.plan.Sealed)+len(d.r.plan.NotInBackup)+len(d.r.plan.Redacted) > 0 || len(d.r.brokenAtCapture()) > 0)
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " / ")
}

// passwordOnce gives a password as long as it is not found wrong.
func passwordOnce(p vault.Password) func(context.Context, int, int) (vault.Password, error) {
	return func(_ context.Context, _, wrong int) (vault.Password, error) {
		if wrong > 0 {
			return vault.Password{}, ErrNoPassword
		}
		return p, nil
	}
}
