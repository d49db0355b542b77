package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// borgKind is one way of using borg.
type borgKind struct {
	name, folder, about string
	options             []string
}

var borgKinds = []borgKind{
	{"borg zstd", "borg-zstd", "zstd, content-defined chunks", []string{"--compression", "zstd"}},
	{"borg fixed 64 KiB", "borg-fixed", "zstd, chunks of 64 KiB", []string{"--compression", "zstd", "--chunker-params", "fixed,65536"}},
}

type borg struct {
	place
	borgKind
	bin, version string
	backups      int
}

func newBorg(ctx context.Context, p place, kind borgKind) (*borg, error) {
	bin, err := stock("borg")
	if err != nil {
		return nil, err
	}
	b := &borg{place: p, borgKind: kind, bin: bin}
	b.version, err = firstLine(ctx, p.env(), bin, "--version")
	return b, err
}

func (b *borg) name() string { return b.borgKind.name }
func (b *borg) about() string {
	return b.version + ", " + b.borgKind.about + ", no encryption (to its benefit)"
}
func (b *borg) history() bool      { return true }
func (b *borg) repository() string { return filepath.Join(b.area(b.folder), "repository") }

// command runs borg, of whose exit codes 1 is a warning.
func (b *borg) command(dir string, args ...string) command {
	return command{
		args: append([]string{b.bin}, args...), dir: dir, exits: []int{1},
		env: b.env("BORG_REPO="+b.repository(), "BORG_BASE_DIR="+filepath.Join(b.area(b.folder), "base"), "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes",
			"BORG_RELOCATED_REPO_ACCESS_IS_OK=yes"),
	}
}

func (b *borg) fresh(ctx context.Context) error {
	if err := renew(b.area(b.folder)); err != nil {
		return err
	}
	b.backups = 0
	_, _, err := measure(ctx, b.command("", "init", "--encryption", "none"))
	return err
}

// latest names the newest archive.
func (b *borg) latest() string { return fmt.Sprintf("::backup-%03d", b.backups) }

func (b *borg) backup(ctx context.Context, _ int) (run, error) {
	args := append([]string{"create"}, b.options...)
	for _, e := range b.excluded {
		path, _ := isFolder(e)
		args = append(args, "--exclude", "pp:"+path)
	}
	b.backups++
	took, _, err := measure(ctx, b.command(b.root, append(args, b.latest(), ".")...))
	return took, err
}

func (b *borg) restore(ctx context.Context, to string) (run, error) {
	took, _, err := measure(ctx, b.command(to, "extract", b.latest()))
	return took, err
}

func (b *borg) verify(ctx context.Context) (run, error) {
	c := b.command("", "check", "--verify-data")
	c.exits = nil // here 1 is damage
	took, _, err := measure(ctx, c)
	return took, err
}
