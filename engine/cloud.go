package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"maia-dr/engine/event"
	"maia-dr/engine/fsx"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/onedrive/graph"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// CloudCheck is what Microsoft Graph says of every file of every backup.
type CloudCheck struct {
	Version int           `json:"version"`
	Account graph.Account `json:"account"`
	Files   int           `json:"files"`
	// Verified files are in the cloud with the same size and quickXorHash.
	Verified      int   `json:"verified"`
	VerifiedBytes int64 `json:"verified_bytes"`
	// NotVisible files are not in the listing (yet). Differ have another size or hash. NoHash have none there, Unread none
	// here: they are evicted, and in no copy on this machine.
	NotVisible []string `json:"not_visible"`
	Differ     []string `json:"differ"`
	NoHash     []string `json:"no_hash"`
	Unread     []string `json:"unread"`
	// Sampled chunks were downloaded from the cloud, and their SHA-256 compared.
	Sampled      int         `json:"sampled"`
	SampledBytes int64       `json:"sampled_bytes"`
	Sync         *SyncStatus `json:"sync"`
}

// OK reports whether everything is verified.
func (c *CloudCheck) OK() bool { return c.Verified == c.Files && len(c.Differ) == 0 }

// Cloud is what CheckCloud asks: *graph.Client.
type Cloud interface {
	Account(ctx context.Context) (graph.Account, error)
	Open(ctx context.Context, path, repositoryID string) (*graph.Drive, error)
}

// CheckCloud compares every file of every backup with what Microsoft Graph has of it, downloads a few chunks from there and
// hashes them, and enters what is proven into the ledger.
func (e *Engine) CheckCloud(ctx context.Context, cloud Cloud, sample int) (*CloudCheck, error) {
	p, err := e.published()
	if err != nil {
		return nil, err
	}
	if p == nil || len(p.backups) == 0 {
		return nil, &Error{Op: "check the cloud", Code: CodeNoBackup, Err: errors.New("there is no backup of this installation")}
	}
	c := &cloudCheck{published: p, res: &CloudCheck{Version: 1, NotVisible: []string{}, Differ: []string{}, NoHash: []string{}, Unread: []string{}}}
	if c.res.Account, err = cloud.Account(ctx); err != nil {
		return nil, cloudError(err)
	}
	if c.drive, err = cloud.Open(ctx, drivePath(p.folder), p.id); err != nil {
		return nil, cloudError(err)
	}
	if c.ledger, err = e.state.LoadLedger(p.id, p.folder, e.moment()); err != nil {
		return nil, e.ledgerError(err)
	}
	if err := c.compare(ctx); err != nil {
		return nil, cloudError(err)
	}
	if err := c.sample(ctx, sample); err != nil {
		return nil, cloudError(err)
	}
	return c.res, c.enterAll(ctx)
}

// drivePath returns where in the account's drive the repository lies: below the account's own folder, whatever that is
// called here.
func drivePath(folder string) string {
	parts := strings.Split(folder, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, "OneDrive") {
			return path.Join(append(parts[i+1:], repository.DirName)...)
		}
	}
	return repository.DirName
}

// cloudError gives an error of Microsoft Graph its code and remedy.
func cloudError(err error) error {
	out := &Error{Op: "ask Microsoft Graph", Code: CodeCloud, Err: err}
	switch {
	case errors.Is(err, context.Canceled):
		return explain("ask Microsoft Graph", "", err)
	case errors.Is(err, graph.ErrLoggedOut):
		out.Hint = "log in with `maia-dr onedrive login`"
	case errors.Is(err, graph.ErrWrongAccount):
		out.Hint = "log in with the account of the OneDrive folder: `maia-dr onedrive logout`, then `maia-dr onedrive login`"
	case errors.Is(err, graph.ErrNotVisible):
		out.Hint = "wait until OneDrive has uploaded something; if it has for long, another account is logged in: `maia-dr onedrive login`"
	}
	return out
}

// CloudError is for whoever asks Microsoft Graph without the engine.
func CloudError(err error) error { return cloudError(err) }

// GraphClientID is the registration that the configuration names; empty: there is none.
func (e *Engine) GraphClientID() string { return e.opt.Config.OneDrive.GraphClientID }

// Sleep waits, at most until ctx is over.
func (e *Engine) Sleep(ctx context.Context, d time.Duration) error { return e.sleep(ctx, d) }

type cloudCheck struct {
	*published
	drive  *graph.Drive
	ledger *state.Ledger
	res    *CloudCheck
	// proven and refuted are files by what was found, hashes the quickXorHashes that were computed.
	proven  map[string]bool
	refuted map[string]string
	hashes  map[string]string
}

func (c *cloudCheck) compare(ctx context.Context) error {
	c.proven, c.refuted, c.hashes = map[string]bool{}, map[string]string{}, map[string]string{}
	sizes := c.sizes()
	c.res.Files = len(sizes)
	folders := map[string]map[string]graph.Item{}
	var done, total int64
	for _, size := range sizes {
		total += size
	}
	c.e.emit(event.Event{Kind: event.PhaseStarted, Phase: event.Verify, Total: total})
	for _, name := range sortedNames(slices.Collect(maps.Keys(sizes))) {
		dir, base := path.Split(name)
		if _, ok := folders[dir]; !ok {
			list, err := c.drive.List(ctx, strings.TrimSuffix(dir, "/"))
			if err != nil {
				return err
			}
			folders[dir] = list
		}
		item, there := folders[dir][base]
		if err := c.one(name, sizes[name], item, there); err != nil {
			return err
		}
		done += sizes[name]
		c.e.emit(event.Event{Kind: event.Progress, Phase: event.Verify, Done: done, Total: total})
	}
	return nil
}

// one compares one file.
func (c *cloudCheck) one(name string, size int64, item graph.Item, there bool) error {
	if !there {
		c.res.NotVisible = append(c.res.NotVisible, name)
		return nil
	}
	if item.SizeBytes != size {
		c.differs(name, fmt.Sprintf("%d bytes in the cloud, %d here", item.SizeBytes, size))
		return nil
	}
	if item.QuickXor == "" {
		c.res.NoHash = append(c.res.NoHash, name)
		return nil
	}
	sum, err := c.quickXor(name, size)
	switch {
	case err != nil:
		return err
	case sum == "":
		c.res.Unread = append(c.res.Unread, name)
	case sum != item.QuickXor:
		c.differs(name, "its quickXorHash in the cloud is another")
	default:
		c.proven[name] = true
		c.res.Verified++
		c.res.VerifiedBytes += size
	}
	return nil
}

func (c *cloudCheck) differs(name, why string) {
	if c.proven[name] {
		delete(c.proven, name)
		c.res.Verified--
		c.res.VerifiedBytes -= c.sizes()[name]
	}
	c.refuted[name] = why
	c.res.Differ = append(c.res.Differ, name+": "+why)
}

// quickXor returns a file's quickXorHash: the one remembered, or that of the mirror's copy, or of the file itself if it is
// not evicted; empty: neither is to be had.
func (c *cloudCheck) quickXor(name string, size int64) (string, error) {
	if t := c.ledger.Files[name]; t != nil && t.QuickXor != "" && t.SizeBytes == size {
		return t.QuickXor, nil
	}
	from := c.e.mirror().Path(strings.Split(name, "/")...)
	if fi, err := os.Stat(from); err != nil || fi.Size() != size {
		if from = c.path(name); c.e.evicted(from) {
			return "", nil
		}
	}
	f, err := fsx.OpenRegular(from)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum, n, err := graph.QuickXorHash(f)
	if err != nil || n != size {
		return "", err
	}
	c.hashes[name] = sum
	return sum, nil
}

// sample downloads chunks drawn at random and compares their SHA-256: quickXorHash does not see everything.
func (c *cloudCheck) sample(ctx context.Context, n int) error {
	var chunks []repository.ChunkRef
	for _, b := range c.backups {
		for _, ref := range b.manifest.Chunks {
			if c.proven[repository.ChunksDir+"/"+repository.ChunkName(ref.SHA256)] && !slices.Contains(chunks, ref) {
				chunks = append(chunks, ref)
			}
		}
	}
	for ; n > 0 && len(chunks) > 0; n-- {
		i, err := draw(c.e.env.Random, len(chunks))
		if err != nil {
			return err
		}
		ref := chunks[i]
		chunks = slices.Delete(chunks, i, i+1)
		name := repository.ChunksDir + "/" + repository.ChunkName(ref.SHA256)
		sum, size, err := c.drive.SHA256(ctx, name, ref.SizeBytes)
		if err != nil {
			return err
		}
		c.res.Sampled++
		c.res.SampledBytes += size
		if size != ref.SizeBytes || repository.Hash(sum) != ref.SHA256 {
			c.differs(name, "downloaded from the cloud, its SHA-256 is another")
		}
	}
	return nil
}

// draw returns a number below n.
func draw(random io.Reader, n int) (int, error) {
	b := make([]byte, 16)
	if _, err := io.ReadFull(random, b); err != nil {
		return 0, err
	}
	// 128 random bits: that some numbers are likelier by 2^-100 does not matter.
	return int(new(big.Int).Mod(new(big.Int).SetBytes(b), big.NewInt(int64(n))).Int64()), nil
}

// enterAll enters what was found into the ledger. That a file is not visible yet says nothing.
func (c *cloudCheck) enterAll(ctx context.Context) error {
	var done []string
	err := c.withLedger(ctx, func(l *state.Ledger) error {
		c.enter(l, nil, "")
		if l.Source == "" {
			provider := c.e.provider(c.folder)
			l.Source, l.Top = provider.Name(), provider.Highest()
		}
		for name, t := range l.Files {
			if sum := c.hashes[name]; sum != "" {
				t.QuickXor = sum
			}
			o := onedrive.Observation{Top: onedrive.CloudVerified, Print: onedrive.PrintOf(c.path(name))}
			switch why, bad := c.refuted[name]; {
			case bad:
				o.Answer = onedrive.Answer{Rung: onedrive.Pending, Class: onedrive.Differs, Detail: why}
			case c.proven[name]:
				o.Rung = onedrive.CloudVerified
			default:
				continue
			}
			t.Observe(l.Odometer, o)
		}
		c.res.Sync = c.status(l)
		done = c.justUploaded(l)
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range done {
		if err := c.finishUpload(ctx, id, "Microsoft Graph"); err != nil {
			return err
		}
	}
	return nil
}
