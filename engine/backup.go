package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"maia-dr/engine/component"
	"maia-dr/engine/event"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
	"maia-dr/engine/vault"
)

// BackupOptions say how to back up.
type BackupOptions struct {
	// NoVault leaves secret-bearing files out by choice: that is then no warning.
	NoVault bool
	// Adopt takes over a repository that another installation wrote.
	Adopt bool
}

// BackupResult is what a backup came to.
type BackupResult struct {
	BackupID    string
	Status      string
	Manifest    *repository.Manifest
	StoredBytes int64
	SourceBytes int64
	Files       int
	NewChunks   int
	Duration    time.Duration
	// Published is the part of Duration until the backup was complete in the OneDrive folder: retention and the light
	// drill follow.
	Published time.Duration
	Warnings  []repository.Warning
	// SyncState is the rung of the sync ladder that the backup has reached.
	SyncState string
	// Secrets counts what it has of secret-bearing files; History says in words where the git history is, if that is not here, and there is
	// no vault.
	Secrets SecretsKept
	History string
	// Findings are what the search for secrets found that somebody has to see to.
	Findings []state.Problem
	// Pruned are the backups that retention removed afterwards.
	Pruned []string
}

// Backup makes one backup: in the mirror, read back there, then published, then retention. When it returns nil the
// backup is complete in the OneDrive folder; its warnings say what of the user's is missing in it.
func (e *Engine) Backup(ctx context.Context, o BackupOptions) (res *BackupResult, err error) {
	root, err := e.findRoot()
	if err != nil {
		return nil, err
	}
	if _, err := e.findOneDrive(); err != nil {
		return nil, err
	}
	end, err := e.begin("backup")
	if err != nil {
		return nil, err
	}
	history := new(state.HistoryEntry)
	defer func() { end(history, err) }()
	started := e.now()
	s, err := e.open(true, o.Adopt)
	if err != nil {
		return nil, err
	}
	b := &backup{session: s, ctx: ctx, root: root, opt: o, started: started, stats: s.readStatCache()}
	if err := b.run(); err != nil {
		return nil, explain("back up", "", err)
	}
	e.held = s.catalogue
	res = b.result()
	history.Result, history.BackupID, history.Drill = res.Status, res.BackupID, b.drill
	history.StoredBytes, history.SourceBytes, history.Files, history.Warnings = res.StoredBytes, res.SourceBytes, res.Files, len(res.Warnings)
	if l, lerr := s.target.List(); lerr == nil {
		history.RepositoryBytes = totalBytes(l)
	}
	e.statusMu.Lock()
	e.status.LastFailure = nil
	e.status.LastBackup = &state.BackupResult{
		BackupID: res.BackupID, StartedAt: started.UTC(), FinishedAt: e.now().UTC(), Seconds: res.Duration.Seconds(), StoredBytes: res.StoredBytes,
		SourceBytes: res.SourceBytes, Files: res.Files, Vault: res.Manifest.PasswordNumber > 0, Warnings: res.Warnings,
	}
	e.statusMu.Unlock()
	return res, nil
}

// backup is one run.
type backup struct {
	*session
	ctx     context.Context
	root    string
	opt     BackupOptions
	started time.Time
	// password is asked for once; passwordProblem says why there is none.
	password        *vault.Password
	passwordProblem error
	memory          *state.Secrets
	stats           <-chan *statCache // on its way
	old             *statCache

	attempt
	// storedBytes is what the backup adds to the repository, manifest and index included.
	storedBytes int64
	published   time.Duration
	pruned      []string
	late        []repository.Warning
	drill       *state.Drill // the light one afterwards; nil: it could not be done
}

// attempt is what is made once more from the start when a captured secret is found in a text file.
type attempt struct {
	inventory    *component.Inventory
	index        *repository.Index
	cap          *capture
	seal         *sealing
	manifest     *repository.Manifest
	raw          []byte
	files        []repository.File
	large        []repository.File        // the large databases, which come after the tars in files
	small        map[string][]byte        // the files of the backup's folder
	archives     map[string]chan *archive // on their way, by component
	archived     map[string][]byte        // the files in its archives, by place
	restoreIndex []byte                   // restore.index.gz
	git          *gitAnswer
	details      *details
	own          []string // captured values in what this program wrote, and where
}

// maxAttempts is how often a backup is made: each time, more files go into the vault.
const maxAttempts = 5

func (b *backup) run() error {
	if err := b.finishPrune(b.ctx); err != nil {
		return err
	}
	if err := b.wholeNewest(); err != nil {
		return err
	}
	if err := b.trimMirror(); err != nil {
		return err
	}
	var err error
	if b.memory, err = b.e.state.LoadSecrets(b.descriptor.RepositoryID); err != nil {
		return err
	}
	for n := 1; ; n++ {
		var leaked *leakError
		if err := b.make(); err == nil {
			break
		} else if !errors.As(err, &leaked) || n == maxAttempts {
			return err
		}
		if err := b.moveToVault(leaked); err != nil {
			return err
		}
	}
	if err := b.commit(); err != nil {
		return err
	}
	if err := b.publishAll(b.ctx); err != nil {
		return err
	}
	b.published = b.e.now().Sub(b.started)
	pruned, err := b.applyRetention()
	if err != nil {
		return err
	}
	b.pruned = pruned
	if err := b.trimMirror(); err != nil {
		return err
	}
	// The drill needs memory of its own.
	b.old, b.index, b.inventory, b.cap, b.small, b.archived, b.restoreIndex = nil, nil, nil, nil, nil, nil, nil
	b.rehearse()
	return nil
}

// make makes everything but the files of the backup's folder, which it leaves in memory.
func (b *backup) make() error {
	b.attempt = attempt{small: map[string][]byte{}, archived: map[string][]byte{}}
	ctx, cancel := context.WithCancel(b.ctx)
	b.git = b.askGit(ctx)
	// Whatever happens, the tools do not outlive the run.
	defer func() { cancel(); <-b.git.done }()
	blocks := b.readIndex()
	if err := b.findPassword(); err != nil {
		return err
	}
	// The key derivation does not outlive the attempt.
	defer b.seal.wait()
	if err := b.takeInventory(); err != nil {
		return err
	}
	if err := b.takeSecrets(); err != nil {
		return err
	}
	b.cap.redacted = b.seal.redacted
	if err := b.loadIndex(<-blocks); err != nil {
		return err
	}
	return b.captureAll()
}

func (b *backup) takeInventory() error {
	b.e.phase(event.Scan, 0)
	if b.old == nil {
		b.old = <-b.stats
	}
	cfg := b.e.opt.Config
	var own []component.FileID
	for _, path := range []string{b.folder.Path, b.target.Dir, b.e.state.Path} {
		if fi, err := os.Stat(path); err == nil {
			st := component.StatOf(fi)
			own = append(own, component.FileID{Dev: st.Dev, Inode: st.Inode})
		}
	}
	inv, err := component.Take(b.ctx, component.Options{
		Root: b.root, Home: b.e.env.Home, Own: own, Exclude: cfg.Capture.Exclude, Agents: cfg.Capture.LaunchAgents,
		ShellFiles: cfg.Capture.ShellFiles, SecretFiles: cfg.Secrets.Files, Moved: b.memory.Moved,
		LargeDatabase: cfg.LargeDatabaseBytes(), KeepGitHistory: cfg.Git.KeepHistory,
		Known: func(source string, st component.Stat) (component.Kind, bool) {
			for _, padded := range []bool{true, false} {
				if c, ok := b.old.Entries[cacheKey(source, padded)]; ok && c.Stat == st {
					return c.Kind, true
				}
			}
			return 0, false
		},
	})
	if err != nil {
		return fmt.Errorf("look at %s: %w", b.root, err)
	}
	b.inventory = inv
	b.cap = &capture{e: b.e, ctx: b.ctx, old: b.old, kept: map[string]cacheEntry{}, plain: map[string]bool{}, beside: inv.Sidecars}
	for i := range inv.Entries {
		b.cap.total += inv.Entries[i].Stat.Size
	}
	return nil
}

// entries returns the inventory's entries of one component.
func (b *backup) entries(name string) []component.Entry {
	all := b.inventory.Entries
	from := slices.IndexFunc(all, func(en component.Entry) bool { return en.Component == name })
	if from < 0 {
		return nil
	}
	to := from
	for to < len(all) && all[to].Component == name {
		to++
	}
	return all[from:to]
}

// captureAll makes the manifest with everything in it, and the chunks.
func (b *backup) captureAll() (err error) {
	id, behind := repository.NewID(b.started, b.allIDs())
	if !repository.IsID(id) {
		last := slices.Max(b.allIDs())
		return &Error{Op: "name the backup", Path: b.target.Path(last), Code: CodeFailed, Err: errors.New("it is named as a backup of the last second there is, so none can come after it"),
			Hint: "remove it in OneDrive: no clock is that wrong, so somebody else made it"}
	}
	b.manifest = &repository.Manifest{
		Format: repository.Format, BackupID: id, BackupType: "full", CreatedAt: b.started.UTC().Truncate(time.Second),
		ProgramVersion: b.e.opt.Version, RepositoryID: b.descriptor.RepositoryID, Writer: b.writer,
		MaiaRoot: repository.Name(b.root), OneDrivePath: repository.Name(b.folder.Path),
		Components:          map[string]*repository.Component{},
		RestorationMetadata: b.e.restorationMetadata(),
	}
	for _, u := range b.unreadable {
		b.cap.warn("manifest_unreadable", u.id, fmt.Sprintf("neither this machine nor OneDrive has a whole manifest of this earlier backup: %v", u.err),
			"restore its folder from OneDrive's recycle bin, or give it up with `maia-dr prune --forget "+u.id+"`; until then no chunk is deleted")
	}
	if behind {
		b.cap.warn("clock_behind", "", "the clock is behind the newest backup; this backup is named one second after it", "set the clock right")
	}
	ctx, cancel := context.WithCancel(b.ctx)
	b.details = b.gatherDetails(ctx)
	archived := b.beginArchives(ctx)
	// Nor do these tools, and the archives.
	defer func() { cancel(); <-b.details.done; archived() }()
	c := b.cap
	c.index = b.index
	c.oldChunk = make([]int, len(c.old.Chunks))
	for i, h := range c.old.Chunks {
		c.oldChunk[i] = -1
		if n, ok := b.index.FindChunk(h); ok {
			c.oldChunk[i] = n
		}
	}
	known := map[string]bool{}
	if last := b.last(); last != nil {
		for _, comp := range last.Components {
			for _, db := range comp.Databases {
				known[filepath.Join(b.root, filepath.FromSlash(string(db.Path)))] = true
			}
		}
	}
	c.fullCheck = func(source string) bool { return !known[source] }
	level := 0
	if len(b.catalogue) == 0 && c.total > repository.BulkBytes {
		level = repository.BulkLevel // there is much, from the start
	}
	c.packer = repository.NewPacker(b.ctx, b.e.fs, b.mirror.Path(repository.ChunksDir), level)
	b.e.phase(event.Capture, c.total)
	if err := b.captureStreams(); err != nil {
		c.packer.Abort()
		return err
	}
	refs, err := c.packer.Close()
	if err != nil {
		return err
	}
	for i, ref := range refs {
		b.index.SetChunk(c.chunkOf[i], ref)
		b.manifest.Stats.StoredBytes += ref.SizeBytes
	}
	b.manifest.Stats.NewChunks = len(refs)
	b.numberChunks()
	if err := b.readStreams(); err != nil {
		return err
	}
	return b.captureSmall()
}

// numberChunks lists the chunks the backup refers to and turns the extents' numbers from the index's to the list's.
func (b *backup) numberChunks() {
	number := map[int]int{}
	for _, s := range b.manifest.Streams() {
		for i := range s.Extents {
			x := &s.Extents[i]
			n, ok := number[x.Chunk]
			if !ok {
				n = len(b.manifest.Chunks)
				number[x.Chunk] = n
				b.manifest.Chunks = append(b.manifest.Chunks, b.index.Chunk(x.Chunk))
			}
			x.Chunk = n
		}
		if s.Database != nil {
			s.Database.Chunks = s.Extents.Chunks()
		}
	}
}

// saveCaches writes index, stat cache and package lists, after the manifest they belong to.
func (b *backup) saveCaches() {
	if err := b.index.Save(b.e.fs, b.e.state.BlockIndex()); err != nil {
		// The old index is still right about the chunks it names, and it is rebuilt where it is not.
		b.e.log.Warn().Err(err).Msg("save block index")
	}
	b.savePackageLists()
	if !b.cap.read && len(b.cap.kept) == len(b.cap.old.Entries) {
		return // the old one says the same
	}
	cache := newStatCache(b.descriptor.RepositoryID)
	numbers := chunkNumbers{cache: cache, number: map[repository.Hash]int{}}
	for key, en := range b.cap.kept {
		x := make(repository.Extents, len(en.Extents))
		for i, ext := range en.Extents {
			ext.Chunk = numbers.of(b.index.Chunk(ext.Chunk).SHA256)
			x[i] = ext
		}
		en.Extents = x
		cache.Entries[key] = en
	}
	if err := cache.save(b.e.fs, b.e.state.StatCache()); err != nil {
		b.e.log.Warn().Err(err).Msg("save stat cache")
	}
}

func (b *backup) result() *BackupResult {
	m := b.manifest
	status := m.Status
	if len(b.late) > 0 {
		status = repository.StatusCompletedWithWarnings
	}
	res := &BackupResult{
		BackupID: m.BackupID, Status: status, Manifest: m, StoredBytes: b.storedBytes, SourceBytes: m.Stats.SourceBytes,
		Files: m.Stats.SourceFiles, NewChunks: m.Stats.NewChunks, Duration: b.e.now().Sub(b.started), Published: b.published, Warnings: append(slices.Clone(m.Warnings), b.late...),
		SyncState: b.syncState(), Secrets: secretsKept(m, b.files), Pruned: b.pruned,
	}
	if m.PasswordNumber == 0 {
		res.History = historyText(m, b.files)
	}
	b.e.statusMu.Lock()
	defer b.e.statusMu.Unlock()
	for _, p := range b.e.status.Problems {
		if isSecretFinding(&p) {
			res.Findings = append(res.Findings, p)
		}
	}
	return res
}

func mustJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		// Only types of this program come here, all of which can be encoded.
		panic(err)
	}
	return b
}
