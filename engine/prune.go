package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine/component"
	"maia-dr/engine/event"
	"maia-dr/engine/repository"
	"maia-dr/engine/retention"
	"maia-dr/engine/state"
)

// PruneOptions say how to prune.
type PruneOptions struct {
	DryRun bool
	// Forget names a backup to give up: it leaves the catalogue, and what is left of it counts as foreign.
	Forget string
}

// PruneResult says what stays, why, and what went.
type PruneResult struct {
	Decisions []retention.Decision
	Removed   []string
	// Forgotten is the backup given up, if one was.
	Forgotten  string
	FreedBytes int64
	// Foreign are backups in OneDrive that this machine neither made nor adopted: they are kept.
	Foreign []string
	// ChunksKept says why no chunk was deleted; empty if they were.
	ChunksKept string
	DryRun     bool
}

// Prune applies the retention rule. Only what the catalogue says is this writer's is ever deleted, and nothing if the
// catalogue and OneDrive do not agree.
func (e *Engine) Prune(ctx context.Context, o PruneOptions) (res *PruneResult, err error) {
	if _, err := e.findOneDrive(); err != nil {
		return nil, err
	}
	end, err := e.begin("prune")
	if err != nil {
		return nil, err
	}
	history := &state.HistoryEntry{Result: repository.StatusCompleted}
	defer func() { end(history, err) }()
	s, err := e.open(false, false)
	if err != nil {
		return nil, err
	}
	if o.Forget != "" {
		if res, err = s.forget(o); err != nil || o.DryRun {
			return res, explain("forget "+o.Forget, "", err)
		}
	}
	if err := s.finishPrune(ctx); err != nil {
		return nil, explain("prune", s.target.Dir, err)
	}
	out, err := s.prune(ctx, o.DryRun)
	if err != nil {
		return nil, explain("prune", s.target.Dir, err)
	}
	if res != nil {
		out.Forgotten = res.Forgotten
	}
	if !o.DryRun {
		err = s.trimMirror()
	}
	return out, explain("prune", s.mirror.Dir, err)
}

// forget takes a backup out of the catalogue. Nothing of it in OneDrive is touched.
func (s *session) forget(o PruneOptions) (*PruneResult, error) {
	i := slices.IndexFunc(s.catalogue, func(m *repository.Manifest) bool { return m.BackupID == o.Forget })
	u := slices.IndexFunc(s.unreadable, func(u unreadable) bool { return u.id == o.Forget })
	if i < 0 && u < 0 {
		return nil, &Error{Op: "forget " + o.Forget, Code: CodeUnknownBackup, Err: errors.New("it is not in this machine's catalogue")}
	}
	res := &PruneResult{Forgotten: o.Forget, DryRun: o.DryRun}
	if o.DryRun {
		return res, nil
	}
	if u >= 0 {
		s.unreadable = slices.Delete(s.unreadable, u, u+1)
	} else {
		s.catalogue = slices.Delete(s.catalogue, i, i+1)
	}
	return res, s.removeMirrored(o.Forget)
}

// removeMirrored removes a backup's folder from the mirror, manifest first: a folder without one is a leftover.
func (s *session) removeMirrored(id string) error {
	err := s.e.fs.Remove(s.mirror.Path(id, repository.ManifestName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.syncIfThere(s.mirror.Path(id)); err != nil {
		return err
	}
	return s.e.fs.RemoveAll(s.mirror.Path(id))
}

// syncIfThere makes what was removed from a folder stay removed, before more is.
func (s *session) syncIfThere(dir string) error {
	if err := s.e.fs.SyncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// decide applies the rule to the catalogue.
func (s *session) decide() []retention.Decision {
	var in []retention.Backup
	proof := s.e.status.Drills.Proof
	uploaded := s.uploaded()
	for _, m := range s.catalogue {
		_, vault := m.Components[component.Secrets]
		in = append(in, retention.Backup{
			ID: m.BackupID, Time: m.CreatedAt, Complete: len(m.Lacks(s.listing)) == 0, Vault: vault,
			Uploaded: uploaded[m.BackupID], Drilled: proof != nil && proof.BackupID == m.BackupID,
		})
	}
	cfg := s.e.opt.Config.Retention
	zone := s.e.env.Zone
	if zone == nil {
		zone = time.UTC
	}
	decisions := retention.Decide(in, cfg.Policy(), zone)
	s.spareAdopted(decisions)
	return decisions
}

// adoptionGrace is how long backups that were taken over stay, whatever the rule says. Who takes over may see a part only of
// what OneDrive has; a backup that comes later may need chunks that no other names.
const adoptionGrace = 7 * 24 * time.Hour

func (s *session) spareAdopted(decisions []retention.Decision) {
	if s.e.now().Sub(s.claimed.CreatedAt) >= adoptionGrace {
		return
	}
	for i := range decisions {
		d := &decisions[i]
		c := slices.IndexFunc(s.catalogue, func(m *repository.Manifest) bool { return m.BackupID == d.ID })
		if !d.Keep && s.catalogue[c].Writer != s.writer {
			d.Keep, d.Reasons = true, []string{"taken over less than 7 days ago"}
		}
	}
}

// prune decides and deletes.
func (s *session) prune(ctx context.Context, dryRun bool) (*PruneResult, error) {
	s.e.phase(event.Retention, 0)
	listing, err := s.target.List()
	if err != nil {
		return nil, err
	}
	s.listing = listing
	for _, m := range s.catalogue {
		id := m.BackupID
		if _, ok := listing.Backups[id][repository.ManifestName]; !ok {
			return nil, &Error{Op: "prune", Path: s.target.Dir, Code: CodeIncomplete,
				Err:  fmt.Errorf("%s is not in OneDrive with its manifest; nothing was deleted", id),
				Hint: "wait until OneDrive has synced and run `maia-dr backup`, or give the backup up with `maia-dr prune --forget " + id + "`"}
		}
	}
	res := &PruneResult{Decisions: s.decide(), DryRun: dryRun}
	var gone []*repository.Manifest
	for _, d := range res.Decisions {
		if d.Keep {
			continue
		}
		i := slices.IndexFunc(s.catalogue, func(m *repository.Manifest) bool { return m.BackupID == d.ID })
		gone = append(gone, s.catalogue[i])
		res.Removed = append(res.Removed, d.ID)
	}
	needed, err := s.neededChunks(ctx, res)
	if err != nil {
		return nil, err
	}
	journal := planPrune(gone, needed, res.ChunksKept == "")
	for _, h := range journal.Chunks {
		res.FreedBytes += listing.Chunks[h]
	}
	for _, m := range gone {
		for _, size := range listing.Backups[m.BackupID] {
			res.FreedBytes += size
		}
	}
	if dryRun || len(gone) == 0 {
		return res, nil
	}
	journal.RepositoryID, journal.Writer = s.descriptor.RepositoryID, s.writer
	if err := s.e.state.SavePruneJournal(journal); err != nil {
		return nil, err
	}
	return res, s.carryOut(journal)
}

// neededChunks returns the chunks of every backup that stays, foreign ones included. A foreign manifest that cannot
// be read stops chunk deletion: nobody knows what it needs.
func (s *session) neededChunks(ctx context.Context, res *PruneResult) (map[repository.Hash]bool, error) {
	needed := map[repository.Hash]bool{}
	known := map[string]bool{}
	for _, m := range s.catalogue {
		known[m.BackupID] = true
		if slices.Contains(res.Removed, m.BackupID) {
			continue
		}
		for _, ref := range m.Chunks {
			needed[ref.SHA256] = true
		}
	}
	for _, u := range s.unreadable {
		known[u.id] = true
		res.ChunksKept = fmt.Sprintf("the manifest of %s cannot be read: %v", u.id, u.err)
	}
	for _, id := range s.listing.IDs() {
		if known[id] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		res.Foreign = append(res.Foreign, id)
		m, _, err := s.target.ReadSummary(id)
		if err != nil {
			res.ChunksKept = fmt.Sprintf("the manifest of %s, which is not this machine's, cannot be read: %v", id, err)
			continue
		}
		for _, ref := range m.Chunks {
			needed[ref.SHA256] = true
		}
	}
	return needed, nil
}

// planPrune lists what is to be deleted.
func planPrune(gone []*repository.Manifest, needed map[repository.Hash]bool, chunks bool) *state.PruneJournal {
	j := &state.PruneJournal{Files: map[string][]string{}}
	for _, m := range gone {
		names := []string{repository.ManifestName, repository.RestoreIndexName, repository.MACName}
		for _, f := range m.Files {
			names = append(names, f.Path)
		}
		j.Backups = append(j.Backups, m.BackupID)
		j.Files[m.BackupID] = names
		for _, ref := range m.Chunks {
			if chunks && !needed[ref.SHA256] {
				needed[ref.SHA256] = true // once is enough
				j.Chunks = append(j.Chunks, ref.SHA256)
			}
		}
	}
	return j
}

// carryOut deletes what the journal lists: of each backup the manifest, then its files; then the chunks. It can be
// repeated at any point.
func (s *session) carryOut(j *state.PruneJournal) error {
	remove := func(elem ...string) error {
		err := s.e.fs.Remove(s.target.Path(elem...))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, id := range j.Backups {
		for _, name := range j.Files[id] {
			if err := remove(id, name); err != nil {
				return err
			}
			if name != repository.ManifestName {
				continue
			}
			// After a power cut there would else be a manifest of which files are gone.
			if err := s.syncIfThere(s.target.Path(id)); err != nil {
				return err
			}
		}
		for _, dust := range []string{".DS_Store", "desktop.ini"} {
			if err := remove(id, dust); err != nil {
				return err
			}
		}
		// Something foreign in the folder keeps it; it is reported as foreign from then on.
		if err := remove(id); err != nil && !isNotEmpty(err) {
			return err
		}
		if err := s.removeMirrored(id); err != nil {
			return err
		}
		s.catalogue = slices.DeleteFunc(s.catalogue, func(m *repository.Manifest) bool { return m.BackupID == id })
		delete(s.listing.Backups, id)
	}
	// No chunk goes before the manifests that named it are gone for good.
	if err := s.e.fs.SyncDir(s.target.Dir); err != nil {
		return err
	}
	for _, h := range j.Chunks {
		if err := remove(repository.ChunksDir, repository.ChunkName(h)); err != nil {
			return err
		}
		delete(s.listing.Chunks, h)
	}
	// The journal goes when all it lists is gone for good, from the catalogue too.
	for _, dir := range []string{s.target.Path(repository.ChunksDir), s.mirror.Dir} {
		if err := s.e.fs.SyncDir(dir); err != nil {
			return err
		}
	}
	return s.e.state.SavePruneJournal(nil)
}

// finishPrune carries out what an interrupted prune had begun. A chunk that a catalogued backup names by now stays.
func (s *session) finishPrune(ctx context.Context) error {
	j, err := s.e.state.PruneJournal()
	if j == nil || err != nil {
		if err != nil {
			// Unreadable, it cannot say what was meant; the rule will decide again.
			s.e.log.Warn().Err(err).Msg("prune journal")
			return s.e.state.SavePruneJournal(nil)
		}
		return nil
	}
	if j.RepositoryID != s.descriptor.RepositoryID || j.Writer != s.writer {
		return s.e.state.SavePruneJournal(nil)
	}
	res := &PruneResult{Removed: j.Backups}
	needed, err := s.neededChunks(ctx, res)
	if err != nil {
		return err
	}
	j.Chunks = slices.DeleteFunc(j.Chunks, func(h repository.Hash) bool { return needed[h] || res.ChunksKept != "" })
	return s.carryOut(j)
}

// applyRetention prunes after a backup. That it cannot is a warning, not a failure: the backup is complete.
func (b *backup) applyRetention() ([]string, error) {
	res, err := b.prune(b.ctx, false)
	var known *Error
	if errors.As(err, &known) && known.Code == CodeIncomplete {
		b.lateWarning("prune_refused", "", known.Err.Error(), known.Hint)
		return nil, nil
	}
	if err != nil && b.ctx.Err() == nil {
		b.lateWarning("prune_failed", "", fmt.Sprintf("old backups could not be removed: %v", err), "run `maia-dr prune` to see why")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if res.ChunksKept != "" {
		b.lateWarning("chunks_kept", "", "no old chunk was deleted: "+res.ChunksKept, "move the folder elsewhere if it is yours, or wait until OneDrive has synced it")
	}
	return res.Removed, nil
}

func isNotEmpty(err error) bool {
	return errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST)
}
