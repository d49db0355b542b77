package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// resticVersion is what the figures are about; a new one is a commit.
const resticVersion = "v0.19.1"

type restic struct {
	place
	bin, version string
}

// newRestic builds restic into the cache folder unless it is there. Where it cannot be had, the one installed is taken.
func newRestic(ctx context.Context, p place, cache string) (*restic, error) {
	dir := filepath.Join(cache, "restic@"+resticVersion)
	r := &restic{place: p, bin: filepath.Join(dir, "restic")}
	if _, err := os.Stat(r.bin); err != nil {
		cmd := exec.CommandContext(ctx, "go", "install", "github.com/restic/restic/cmd/restic@"+resticVersion)
		cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			if r.bin, err = stock("restic"); err != nil {
				return nil, fmt.Errorf("%w, and it could not be built: %.200s", err, out)
			}
		}
	}
	var err error
	r.version, err = firstLine(ctx, p.env(), r.bin, "version")
	return r, err
}

func (r *restic) name() string       { return "restic" }
func (r *restic) about() string      { return r.version + ", default options (compression auto)" }
func (r *restic) history() bool      { return true }
func (r *restic) repository() string { return filepath.Join(r.area("restic"), "repository") }

func (r *restic) command(args ...string) command {
	return command{
		args: append([]string{r.bin, "--quiet", "--repo", r.repository(), "--cache-dir", filepath.Join(r.area("restic"), "cache")}, args...),
		dir:  r.root, env: r.env("RESTIC_PASSWORD=a password of a benchmark"),
	}
}

func (r *restic) fresh(ctx context.Context) error {
	if err := renew(r.area("restic")); err != nil {
		return err
	}
	_, _, err := measure(ctx, r.command("init"))
	return err
}

func (r *restic) backup(ctx context.Context, _ int) (run, error) {
	args := []string{"backup", "."}
	for _, e := range r.excluded {
		path, _ := isFolder(e)
		args = append(args, "--exclude", filepath.Join(r.root, path))
	}
	took, _, err := measure(ctx, r.command(args...))
	return took, err
}

func (r *restic) restore(ctx context.Context, to string) (run, error) {
	took, _, err := measure(ctx, r.command("restore", "latest", "--target", to))
	return took, err
}

func (r *restic) verify(ctx context.Context) (run, error) {
	took, _, err := measure(ctx, r.command("check", "--read-data"))
	return took, err
}
