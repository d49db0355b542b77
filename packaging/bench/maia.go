package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// maia is the program itself, with or without a vault.
type maia struct {
	place
	folder   string
	oneDrive string
	vault    bool
	// bin is the program, ahead the same with a clock that runs ahead.
	bin, ahead string
	version    string
	config     string
	day        int // of the newest backup
	// start is what a process needs before it does anything, in seconds: the program cannot see that itself.
	start float64
}

// vaultPassword seals what nobody keeps.
const vaultPassword = "correct horse battery staple of a benchmark"

// keepAll keeps all backups of the run, as the peers do. What keeps 23 of 360 days is the default.
const keepAll = "[retention]\ndaily = 366\nweekly = 0\nmonthly = 0\n"

// newMaia makes the tool; its OneDrive folder lies beside the sample's own, so that each has one to itself.
func newMaia(p place, folder string, vault bool, bin, ahead, version, config string) *maia {
	return &maia{place: p, folder: folder, vault: vault, bin: bin, ahead: ahead, version: version, config: config,
		oneDrive: filepath.Join(p.home, "Library/CloudStorage", "OneDrive-"+folder)}
}

func (m *maia) name() string {
	if m.vault {
		return "maia-dr with a vault"
	}
	return "maia-dr"
}

func (m *maia) about() string {
	if m.vault {
		return m.version + ", the vault's password read from a file descriptor"
	}
	return m.version + ", --no-vault"
}
func (m *maia) history() bool      { return true }
func (m *maia) repository() string { return filepath.Join(m.oneDrive, "MaiaBackups") }
func (m *maia) state() string      { return filepath.Join(m.area(m.folder), "state") }

// fresh also writes the configuration: the newest backups of each of 366 days stay, nothing else does.
func (m *maia) fresh(context.Context) error {
	m.day = 0
	if err := renew(m.oneDrive); err != nil {
		return err
	}
	if err := renew(m.area(m.folder)); err != nil {
		return err
	}
	if err := os.WriteFile(m.configFile(), []byte(m.config), 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

func (m *maia) configFile() string { return filepath.Join(m.area(m.folder), "config.toml") }

// command runs the program itself, or on a later day the one whose clock is ahead.
func (m *maia) command(day int, args ...string) command {
	c := command{env: m.env(), args: []string{m.bin}}
	if day > 0 {
		c.args[0] = m.ahead
		c.env = append(c.env, "MAIA_BENCH_DAYS_AHEAD="+strconv.Itoa(day))
	}
	c.args = append(c.args, "--home", m.home, "--maia-root", m.root, "--onedrive-path", m.oneDrive, "--state-dir", m.state(), "--config", m.configFile())
	c.args = append(c.args, args...)
	return c
}

// line is what is read of the summary of a backup.
type line struct {
	NewChunks int     `json:"new_chunks"`
	Commit    float64 `json:"published_s"` // from the start of the run until the backup lies in the OneDrive folder
}

// lastLine decodes the last line of what was printed.
func lastLine(out []byte) (l line, err error) {
	out = bytes.TrimSpace(out)
	if err := json.Unmarshal(out[bytes.LastIndexByte(out, '\n')+1:], &l); err != nil {
		return l, fmt.Errorf("decode summary: %w", err)
	}
	return l, nil
}

func (m *maia) backup(ctx context.Context, day int) (run, error) {
	m.day = day
	vault := []string{"--no-vault"}
	if m.vault {
		vault = []string{"--vault-password-file", "/dev/fd/3"}
	}
	c := m.command(day, append([]string{"--json", "backup", "--no-wait"}, vault...)...)
	c.exits = []int{3} // warnings
	if m.vault {
		c.secret = vaultPassword
	}
	took, out, err := measure(ctx, c)
	if err != nil {
		return run{}, err
	}
	l, err := lastLine(out)
	if err != nil {
		return run{}, err
	}
	if took.Chunks = l.NewChunks; l.Commit > 0 {
		took.Commit = m.start + l.Commit
	}
	return took, nil
}

func (m *maia) restore(ctx context.Context, to string) (run, error) {
	args := []string{"restore", "latest", "--to", to, "--yes", "--no-packages", "--no-git", "--quiet"}
	secret := ""
	if m.vault {
		args, secret = append(args, "--vault-password-file", "/dev/fd/3"), vaultPassword
	}
	c := m.command(m.day, args...)
	c.secret = secret
	took, _, err := measure(ctx, c)
	return took, err
}

func (m *maia) verify(ctx context.Context) (run, error) {
	took, _, err := measure(ctx, m.command(m.day, "verify", "--all", "--quiet"))
	return took, err
}

// verifyHashes compares the stored files with their hashes and looks into none, where the program can do that alone.
func (m *maia) verifyHashes(ctx context.Context) (r run, can bool, err error) {
	_, help, err := measure(ctx, m.command(0, "verify", "--help"))
	if err != nil || !bytes.Contains(help, []byte("--hashes ")) {
		return run{}, false, err
	}
	r, _, err = measure(ctx, m.command(m.day, "verify", "--all", "--hashes", "--quiet"))
	return r, true, err
}

// script restores with restore_maia.sh, which takes perl or, where that does not work, zsh.
func (m *maia) script(ctx context.Context, to, writer string) (run, error) {
	home := filepath.Join(m.work, "script-home")
	if err := renew(home); err != nil {
		return run{}, err
	}
	defer os.RemoveAll(home)
	path := stockPath
	if writer == "zsh" {
		shim := filepath.Join(m.work, "no-perl")
		if err := renew(shim); err != nil {
			return run{}, err
		}
		if err := os.WriteFile(filepath.Join(shim, "perl"), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
			return run{}, fmt.Errorf("hide perl: %w", err)
		}
		path = shim + ":" + path
	}
	c := command{env: append(m.env(), "PATH="+path, "HOME="+home), args: []string{"/bin/bash", filepath.Join(m.repository(), "restore_maia.sh"),
		"--repository", m.repository(), "--to", to, "--target-home", home, "--yes", "--no-packages", "--no-agents", "--no-git"}}
	took, _, err := measure(ctx, c)
	return took, err
}

// startingTime measures the command that does nothing, n times.
func (m *maia) startingTime(ctx context.Context, n int) (runs []run, err error) {
	for range n {
		r, _, err := measure(ctx, command{args: []string{m.bin, "version"}, env: m.env()})
		if err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	return runs, nil
}
