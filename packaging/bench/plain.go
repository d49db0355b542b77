package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// plan is the way of the plan: every day everything, the code and the small data as tar through gzip (here pigz, which
// uses all cores), large databases in pieces of 50 MB, and the hashes of all of it.
type plan struct {
	place
	version string
	backups int
}

func newPlan(ctx context.Context, p place) (*plan, error) {
	for _, name := range []string{"tar", "pigz", "split", "sha256sum"} {
		if _, err := stock(name); err != nil {
			return nil, err
		}
	}
	version, err := firstLine(ctx, p.env(), "/bin/sh", "-c", "pigz --version 2>&1")
	return &plan{place: p, version: version}, err
}

func (p *plan) name() string       { return "the plan" }
func (p *plan) about() string      { return "tar, " + p.version + ", split into 50 MB, sha256sum" }
func (p *plan) history() bool      { return true }
func (p *plan) repository() string { return filepath.Join(p.area("plan"), "repository") }
func (p *plan) fresh(context.Context) error {
	p.backups = 0
	return renew(p.repository())
}

// latest is the folder of the newest backup.
func (p *plan) latest() string {
	return filepath.Join(p.repository(), fmt.Sprintf("full_%03d", p.backups))
}

// planBackup takes the folder of the backup and the options of tar that exclude; it runs in the root.
const planBackup = `set -eu
to=$1; shift
mkdir "$to"
find . -type f -size +10239k -name '*.db' > "$to/large.list"
tar -cf - --exclude=./claude/data "$@" . | pigz > "$to/maia_code.tar.gz"
tar -cf - -X "$to/large.list" "$@" ./claude/data | pigz > "$to/maia_data_small.tar.gz"
while read -r db; do
  split -b 50M -d -a 3 "$db" "$to/$(basename "$db").chunk"
done < "$to/large.list"
cd "$to"
sha256sum ./* > SHA256SUMS
`

// planRestore takes the folder of the backup; it runs in the folder to restore into.
const planRestore = `set -eu
cd "$1"
sha256sum --quiet -c SHA256SUMS
cd "$2"
for tar in maia_code maia_data_small; do pigz -dc "$1/$tar.tar.gz" | tar -xpf -; done
while read -r db; do cat "$1/$(basename "$db")".chunk* > "$db"; done < "$1/large.list"
`

func (p *plan) shell(ctx context.Context, dir, script string, args ...string) (run, error) {
	took, _, err := measure(ctx, command{args: append([]string{"/bin/bash", "-o", "pipefail", "-c", script, "plan"}, args...), dir: dir, env: p.env()})
	return took, err
}

func (p *plan) backup(ctx context.Context, _ int) (run, error) {
	p.backups++
	args := []string{p.latest()}
	for _, e := range p.excluded {
		path, _ := isFolder(e)
		args = append(args, "--exclude=./"+path)
	}
	return p.shell(ctx, p.root, planBackup, args...)
}

func (p *plan) restore(ctx context.Context, to string) (run, error) {
	return p.shell(ctx, to, planRestore, p.latest(), to)
}

func (p *plan) verify(ctx context.Context) (run, error) {
	return p.shell(ctx, p.repository(), `set -eu; for d in full_*; do (cd "$d" && sha256sum --quiet -c SHA256SUMS); done`)
}

// rclone copies files as they are, over those of yesterday.
type rclone struct {
	place
	bin, version string
}

func newRclone(ctx context.Context, p place) (*rclone, error) {
	bin, err := stock("rclone")
	if err != nil {
		return nil, err
	}
	version, err := firstLine(ctx, p.env(), bin, "version")
	return &rclone{place: p, bin: bin, version: version}, err
}

func (r *rclone) name() string                { return "rclone copy" }
func (r *rclone) about() string               { return r.version + ", no history, no compression" }
func (r *rclone) history() bool               { return false }
func (r *rclone) repository() string          { return filepath.Join(r.area("rclone"), "copy") }
func (r *rclone) fresh(context.Context) error { return renew(r.repository()) }

// run runs rclone with what is excluded; a folder to rclone is all that lies below it.
func (r *rclone) run(ctx context.Context, args ...string) (run, error) {
	args = append([]string{r.bin, "--config", "", "--links", "--quiet"}, args...)
	for _, e := range r.excluded {
		path, folder := isFolder(e)
		if folder {
			path += "/**"
		}
		args = append(args, "--exclude", "/"+strings.NewReplacer("[", `\[`, "{", `\{`).Replace(path))
	}
	took, _, err := measure(ctx, command{args: slices.Clip(args), env: r.env()})
	return took, err
}

func (r *rclone) backup(ctx context.Context, _ int) (run, error) {
	return r.run(ctx, "copy", r.root, r.repository())
}

func (r *rclone) restore(ctx context.Context, to string) (run, error) {
	return r.run(ctx, "copy", r.repository(), to)
}

// verify compares the source with it, for there is nothing else to compare with.
func (r *rclone) verify(ctx context.Context) (run, error) {
	return r.run(ctx, "check", "--download", "--one-way", r.root, r.repository())
}
