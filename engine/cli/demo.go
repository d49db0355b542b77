package cli

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/component"
	"maia-dr/engine/config"
	"maia-dr/engine/fixture"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
	"maia-dr/engine/vault"
)

func (a *app) demoCommand() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use: "demo", Short: "Show the main job on a sample Maia, touching nothing of yours", Args: argsBetween(0, 0),
		Long: `Make a sample Maia in a temporary directory, back it up, change it, back it up again, verify every byte, and
restore it twice: with this program, and with the shell script that every backup carries. Nothing of yours is read
or written.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			base, err := disk.MkdirTemp("", "maia-demo-")
			if err != nil {
				return err
			}
			d := &demo{app: a, ctx: cmd.Context(), base: base}
			if err := d.run(); err != nil {
				return fmt.Errorf("demo in %s: %w", base, err)
			}
			if keep {
				d.printf("Remove it all with: rm -rf %s\n", base)
				return nil
			}
			return disk.RemoveAll(base)
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", true, "leave the directory for a look; --keep=false removes it")
	return cmd
}

// disk is the real one: the demonstration needs no faults.
var disk fsx.FS

// demo is one run of the demonstration.
type demo struct {
	*app
	ctx  context.Context
	base string
	fix  *fixture.Fixture
	eng  *engine.Engine
	rows [][]string
}

// step runs one part and notes what came of it.
func (d *demo) step(name string, f func() (string, error)) error {
	d.say("%s …\n", name)
	began := d.Env.Now()
	result, err := f()
	if err != nil {
		return fmt.Errorf("%s: %w", strings.ToLower(name), err)
	}
	d.rows = append(d.rows, []string{name, result, took(d.Env.Now().Sub(began))})
	return nil
}

func (d *demo) run() error {
	began := d.Env.Now()
	steps := []struct {
		name string
		run  func() (string, error)
	}{
		{"Make a sample Maia", d.make},
		{"First backup", d.backup},
		{"A day of work", d.change},
		{"Second backup", d.backup},
		{"Verify both backups", d.verify},
		{"Restore with maia-dr", d.restore},
		{"Restore with the script alone", d.script},
		{"Compare the two restores", d.compareRestores},
		{"Compare with the original", d.compareOriginal},
	}
	for _, s := range steps {
		if err := d.step(s.name, s.run); err != nil {
			return err
		}
	}
	d.printf("\n")
	table(d.Out, d.rows)
	d.printf("\nEverything is back, twice, in %s. Have a look:\n\n", took(d.Env.Now().Sub(began)))
	table(d.Out, [][]string{
		{"  the sample Maia", d.fix.Root},
		{"  its OneDrive folder", filepath.Join(d.fix.OneDrive, repository.DirName)},
		{"  restored by maia-dr", d.path("restored")},
		{"  restored by the script", d.path("restored-by-script")},
	})
	d.printf("\nThe secrets (planted fakes) lie in a vault, sealed with the password %q, and nowhere else.\n", demoPassword)
	return nil
}

// demoPassword seals the sample's vault. It is no secret.
const demoPassword = "four words of demonstration"

func (d *demo) password() (vault.Password, error) { return vault.NewPassword([]byte(demoPassword)) }

func (d *demo) path(name string) string { return filepath.Join(d.base, name) }

func (d *demo) make() (string, error) {
	fix, err := fixture.Make(d.ctx, fixture.Options{Base: d.path("mac"), Seed: 1})
	if err != nil {
		return "", err
	}
	d.fix = fix
	env := d.Env
	env.Home = fix.Home
	env.Getenv = func(name string) string {
		if name == "PATH" {
			return d.Env.Getenv(name)
		}
		return "" // nothing else of the user's
	}
	d.eng = engine.New(env, engine.Options{
		MaiaRoot: fix.Root, OneDrivePath: fix.OneDrive, StateDir: d.path("state"), Config: config.Defaults(),
		Version: d.Version, Script: d.Script, Password: func(context.Context) (vault.Password, error) { return d.password() },
	})
	return fmt.Sprintf("%s, %s", count(len(fix.Agents), "LaunchAgent", "LaunchAgents"), count(len(fix.Databases), "SQLite database", "SQLite databases")), nil
}

func (d *demo) backup() (string, error) {
	res, err := d.eng.Backup(d.ctx, engine.BackupOptions{})
	if err != nil {
		return "", err
	}
	for _, w := range res.Warnings {
		d.say("  warning: %s: %s\n", clean(w.Path), clean(w.Text))
	}
	return fmt.Sprintf("%s, %s; %s new in the repository", count(res.Files, "file", "files"), size(res.SourceBytes), size(res.StoredBytes)) + "; " +
		count(res.Manifest.Components[component.Secrets].Count, "file in the vault", "files in the vault"), nil
}

func (d *demo) change() (string, error) {
	c, err := d.fix.Day(d.ctx, 1)
	if err != nil {
		return "", err
	}
	return changeText(c), nil
}

func (d *demo) verify() (string, error) {
	res, err := d.eng.Verify(d.ctx, engine.VerifyOptions{All: true})
	if err != nil {
		return "", err
	}
	if !res.OK() {
		return "", fmt.Errorf("damage found: %v %v", res.BadChunks, res.Backups)
	}
	return fmt.Sprintf("%s whole, %s read", count(len(res.Backups), "backup is", "backups are"), size(res.Bytes)), nil
}

// newMac is where both restores go, one after the other: the paths in agents and shell files are then the same.
func (d *demo) newMac() (root, home string, err error) {
	home = d.path("new-mac/Users/you")
	return home + "/maia", home, disk.MkdirAll(home, 0o700)
}

// keep gives what was restored its own name.
func (d *demo) keep(name string) error { return disk.Rename(d.path("new-mac"), d.path(name)) }

func (d *demo) restore() (string, error) {
	root, home, err := d.newMac()
	if err != nil {
		return "", err
	}
	res, err := d.eng.Restore(d.ctx, engine.RestoreOptions{Backup: "latest", To: root, TargetHome: home,
		Password: func(context.Context, int, int) (vault.Password, error) { return d.password() }})
	if err != nil {
		return "", err
	}
	if len(res.Failed)+len(res.Doubtful) > 0 {
		return "", fmt.Errorf("not restored: %v, doubtful: %v", res.Failed, res.Doubtful)
	}
	return fmt.Sprintf("%s, %s checked by SQLite; paths changed in %s", count(res.Restored, "file", "files"), count(res.Databases, "database", "databases"),
		count(len(res.Plan.Relocated), "agent or shell file", "agents and shell files")), d.keep("restored")
}

// script runs restore_maia.sh from the repository, as on a Mac that has nothing else. It loads no agent, installs no
// package and asks no git remote: nothing of the user's is touched.
func (d *demo) script() (string, error) {
	root, home, err := d.newMac()
	if err != nil {
		return "", err
	}
	script := filepath.Join(d.fix.OneDrive, repository.DirName, repository.ScriptName)
	ctx, cancel := context.WithTimeout(d.ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", script, "--to", root, "--target-home", home, "--no-agents", "--no-packages", "--no-git", "--yes", "--vault-password-file", "-")
	cmd.Stdin = strings.NewReader(demoPassword + "\n")
	cmd.Env = []string{"HOME=" + home, "PATH=" + d.Env.Getenv("PATH"), "LC_ALL=C"}
	log, err := cmd.CombinedOutput()
	if werr := disk.WriteAtomic(d.path("script.log"), 0o600, log); werr != nil {
		return "", werr
	}
	if err != nil {
		return "", fmt.Errorf("%w; the end of its output:\n%s", err, tail(string(log), 15))
	}
	return "bash, tar, gzip, openssl and perl or zsh; see " + filepath.Base(d.path("script.log")), d.keep("restored-by-script")
}

func tail(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (d *demo) compareRestores() (string, error) {
	// Only the script leaves a report.
	both := func(rel string) bool { return !strings.HasSuffix(rel, "/"+engine.BesideDir+"/report.txt") }
	n, err := sameTrees(d.path("restored"), d.path("restored-by-script"), both)
	if err != nil {
		return "", err
	}
	m, err := sameTrees(d.path("restored-by-script"), d.path("restored"), both)
	if err != nil {
		return "", err
	}
	if n != m {
		return "", fmt.Errorf("%d and %d entries", n, m)
	}
	return fmt.Sprintf("identical: %s, with modes and times", count(n, "entry", "entries")), nil
}

// compareOriginal looks for every restored file in the original. What the original has beyond that is what the rules
// leave out, which the coverage ledger counts.
func (d *demo) compareOriginal() (string, error) {
	s, err := d.eng.Show("latest", false)
	if err != nil {
		return "", err
	}
	c := s.Manifest.Coverage
	n, err := sameTrees(d.path("restored/Users/you/maia"), d.fix.Root, func(rel string) bool {
		return rel != engine.BesideDir && !strings.HasPrefix(rel, engine.BesideDir+"/")
	})
	if err != nil {
		return "", err
	}
	left := 0
	for _, x := range c.Excluded {
		left += x.Files
	}
	return fmt.Sprintf("identical: %s; %d secret-bearing files among them; %d excluded by rule, %d left out", count(n, "entry", "entries"), c.Secret.Files, left, len(c.LeftOut)), nil
}

// sameTrees makes sure that every entry below a is the same below b: kind, content, link target, mode and time. It
// returns how many entries it compared.
func sameTrees(a, b string, want func(rel string) bool) (int, error) {
	n := 0
	err := filepath.WalkDir(a, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(a, path)
		if err != nil || rel == "." || !want(rel) {
			return err
		}
		n++
		return sameEntry(path, filepath.Join(b, rel))
	})
	return n, err
}

func sameEntry(a, b string) error {
	x, err := os.Lstat(a)
	if err != nil {
		return err
	}
	y, err := os.Lstat(b)
	if err != nil {
		return err
	}
	switch {
	case x.Mode() != y.Mode():
		return fmt.Errorf("%s has mode %v, %s has %v", a, x.Mode(), b, y.Mode())
	case x.Mode()&fs.ModeSymlink != 0:
		s, _ := os.Readlink(a)
		if t, _ := os.Readlink(b); s != t {
			return fmt.Errorf("%s and %s lead to different places", a, b)
		}
		return nil
	case x.IsDir():
		return nil
	case !x.ModTime().Truncate(time.Second).Equal(y.ModTime().Truncate(time.Second)):
		return fmt.Errorf("%s is of %v, %s of %v", a, x.ModTime(), b, y.ModTime())
	}
	s, _, err := repository.HashFile(a)
	if err != nil {
		return err
	}
	t, _, err := repository.HashFile(b)
	if err == nil && s != t && !samePlist(a, b) {
		err = fmt.Errorf("%s and %s differ", a, b)
	}
	return err
}

// samePlist reports whether two files are one property list by different writers. The script leaves the changing of a
// binary one to plutil: where there is none, it stays as it was.
func samePlist(a, b string) bool {
	x, err1 := os.ReadFile(a)
	y, err2 := os.ReadFile(b)
	if err1 != nil || err2 != nil || !strings.HasSuffix(a, ".plist") {
		return false
	}
	if bytes.HasPrefix(x, []byte("bplist")) || bytes.HasPrefix(y, []byte("bplist")) {
		_, err := exec.LookPath("plutil")
		return err != nil
	}
	p, err1 := vault.ReadPlist(x)
	q, err2 := vault.ReadPlist(y)
	return err1 == nil && err2 == nil && reflect.DeepEqual(p, q)
}

// changeText says what a day of the sample changed.
func changeText(c fixture.Changes) string {
	return fmt.Sprintf("%s edited, 1 made, 1 deleted, 1 renamed; %d rows updated, %d inserted", count(len(c.Edited), "file", "files"), c.RowsUpdated, c.RowsInserted)
}
