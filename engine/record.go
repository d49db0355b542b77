package engine

import (
	"context"
	"time"

	"maia-dr/engine/onedrive"
	"maia-dr/engine/state"
)

// SyncWait is how long a backup waits for OneDrive where the command line does not say.
func (e *Engine) SyncWait() time.Duration { return e.opt.Config.Sync.Wait.Std() }

// SyncProblems are what somebody has to see to in the upload.
func SyncProblems(s *SyncStatus) []state.Problem { return syncProblems(s) }

// SyncState is the rung of a backup as it was last seen, without another look.
func (e *Engine) SyncState(id string) string {
	unknown, folder := onedrive.Unknown.String(), ""
	if f, err := e.findOneDrive(); err == nil {
		folder = f.Path
	}
	if folder == "" {
		return unknown
	}
	if !onedrive.CanAnswer(e.provider(folder)) {
		return onedrive.LocalOnly.String()
	}
	p, err := e.published()
	if p == nil || err != nil {
		return unknown
	}
	l, err := e.state.LoadLedger(p.id, p.folder, e.moment())
	if err != nil {
		return unknown
	}
	return p.status(l).Backup(id).Rung.String()
}

// recorder is a source that can write down what it answers.
type recorder interface {
	Record(ctx context.Context, paths []string) (*onedrive.Recording, error)
}

// RecordOneDrive writes down what the system answers about the files of the newest backup.
func (e *Engine) RecordOneDrive(ctx context.Context) (*onedrive.Recording, error) {
	folder, err := e.findOneDrive()
	if err != nil {
		return nil, err
	}
	provider := e.provider(folder.Path)
	r, ok := provider.(recorder)
	if !ok {
		return &onedrive.Recording{Version: 1, Source: provider.Name(), Programs: []string{}, Files: []onedrive.RecordedFile{},
			Problem: "nobody can be asked about this folder"}, nil
	}
	p, err := e.published()
	if err != nil {
		return nil, err
	}
	var paths []string
	if p != nil {
		for _, name := range p.toLookAt(&state.Ledger{}) {
			paths = append(paths, p.path(name))
		}
	}
	return r.Record(ctx, paths)
}
