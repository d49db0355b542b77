package engine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"maia-dr/engine/component"
	"maia-dr/engine/event"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
)

// scratchFile returns a nameless file: it is gone when it is closed or the process dies.
func (e *Engine) scratchFile() (*fsx.File, error) {
	dir := e.state.Scratch()
	if _, err := os.Stat(dir); err != nil {
		dir = os.TempDir()
	}
	return e.fs.Nameless(dir)
}

// streamFiles are files of one stream that are to be read.
type streamFiles struct {
	stream repository.Stream
	files  []*repository.File
}

// byStream sorts files with content under the streams that hold them. Files of small archives belong to none.
func byStream(m *repository.Manifest, files []repository.File, want func(*repository.File) bool) ([]streamFiles, error) {
	streams := m.Streams()
	out := make([]streamFiles, len(streams))
	index := map[string]int{}
	for i, s := range streams {
		out[i].stream = s
		index[streamKey(s)] = i
	}
	for i := range files {
		f := &files[i]
		if !f.HasContent() || !inStream(f.Component) || want != nil && !want(f) {
			continue
		}
		key := "tar " + f.Component
		if f.Type == repository.TypeLarge {
			key = "db " + string(f.Path)
		}
		n, ok := index[key]
		if !ok && f.SizeBytes == 0 && f.Type == repository.TypeLarge {
			continue
		}
		if !ok {
			return nil, fmt.Errorf("no stream holds %.80q: %w", f.Path, repository.ErrDamaged)
		}
		out[n].files = append(out[n].files, f)
	}
	return slices.DeleteFunc(out, func(s streamFiles) bool { return len(s.files) == 0 }), nil
}

func streamKey(s repository.Stream) string {
	if s.Database != nil {
		return "db " + string(s.Database.Path)
	}
	return "tar " + s.Component
}

// inStream reports whether a component's files lie in a stream; the others lie in small archives or are files of the
// backup's folder.
func inStream(name string) bool {
	return name == component.Code || name == component.DataSmall || name == component.DataLarge
}

// fileProblem is a file that cannot be had from a backup as it was.
type fileProblem struct {
	Path   repository.Name
	Reason string
}

// checkStreams assembles files out of their chunks in scratch and compares their hashes. observe, which may be nil, is
// asked for a writer that is given each file's bytes, and a function that is called at their end. more is what else is
// wanted of the chunks, so that each is read once.
func (e *Engine) checkStreams(ctx context.Context, src *repository.Source, m *repository.Manifest, groups []streamFiles, observe func(*repository.File) (io.Writer, func()), more ...repository.Piece) ([]*repository.ChunkError, []fileProblem, error) {
	pieces := more
	scratch := make([]*fsx.File, len(groups))
	defer func() {
		for _, f := range scratch {
			if f != nil {
				f.Close()
			}
		}
	}()
	for i, g := range groups {
		f, err := e.scratchFile()
		if err != nil {
			return nil, nil, err
		}
		scratch[i] = f
		p, err := g.pieces(f)
		if err != nil {
			return nil, nil, err
		}
		pieces = append(pieces, p...)
	}
	var done, total int64
	for _, c := range m.Chunks {
		total += c.RawBytes
	}
	report := e.counter(event.Verify, total, &done)
	bad, err := src.Copy(ctx, m.Chunks, pieces, false, report)
	if err != nil {
		return bad, nil, err
	}
	assembled := make([]io.ReaderAt, len(scratch))
	for i, f := range scratch {
		assembled[i] = f
	}
	problems, err := compareStreams(ctx, groups, assembled, observe)
	return bad, problems, err
}

// maxObserved is how many files are observed at a time: each may be a text of 8 MB, of which there are several copies for a moment.
const maxObserved = 4

// compareStreams hashes files that were assembled, several at a time. So are observe's writers used.
func compareStreams(ctx context.Context, groups []streamFiles, assembled []io.ReaderAt, observe func(*repository.File) (io.Writer, func())) (problems []fileProblem, err error) {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	limit := runtime.GOMAXPROCS(0)
	if observe != nil {
		limit = min(limit, maxObserved)
	}
	g.SetLimit(limit)
	for i, group := range groups {
		for _, f := range group.files {
			g.Go(func() error {
				if err := ctx.Err(); err != nil {
					return err
				}
				sum := sha256.New()
				dst, end := io.Writer(sum), func() {}
				if observe != nil {
					dst, end = observe(f)
					dst = io.MultiWriter(sum, dst)
				}
				n, err := fsx.CopyBuffered(dst, io.NewSectionReader(assembled[i], f.Offset, f.SizeBytes))
				if err != nil {
					return err
				}
				end()
				if n != f.SizeBytes || repository.Hash(sum.Sum(nil)) != *f.SHA256 {
					mu.Lock()
					problems = append(problems, fileProblem{Path: f.Path, Reason: "its bytes are not what they were"})
					mu.Unlock()
				}
				return nil
			})
		}
	}
	err = g.Wait()
	slices.SortFunc(problems, func(a, b fileProblem) int { return strings.Compare(string(a.Path), string(b.Path)) })
	return problems, err
}

// pieces asks for the group's files, each at its own place of the stream.
func (g *streamFiles) pieces(dst io.WriterAt) ([]repository.Piece, error) {
	// What several files share is asked for once: a list that was made for it could name the whole tar a million times.
	type run struct{ from, to int64 }
	size := g.stream.Extents.Size()
	runs := make([]run, 0, len(g.files))
	for _, f := range g.files {
		if f.Offset > size || f.SizeBytes > size-f.Offset {
			return nil, fmt.Errorf("%.80q: %d bytes at %d lie outside the stream of %d: %w", f.Path, f.SizeBytes, f.Offset, size, repository.ErrDamaged)
		}
		if f.SizeBytes > 0 {
			runs = append(runs, run{f.Offset, f.Offset + f.SizeBytes})
		}
	}
	slices.SortFunc(runs, func(a, b run) int { return cmp.Compare(a.from, b.from) })
	var out []repository.Piece
	loc := repository.NewLocator(g.stream.Extents)
	for i := 0; i < len(runs); {
		r := runs[i]
		for i++; i < len(runs) && runs[i].from <= r.to; i++ {
			r.to = max(r.to, runs[i].to)
		}
		x, err := loc.Slice(r.from, r.to-r.from)
		if err != nil {
			return nil, err
		}
		out = append(out, repository.Pieces(x, dst, r.from)...)
	}
	return out, nil
}

// checkFolder reads the files of a backup's folder and compares them with the manifest and with each other.
func checkFolder(r repository.Repo, m *repository.Manifest, raw []byte) (files []repository.File, problems []string) {
	problem := func(name string, err error) {
		problems = append(problems, fmt.Sprintf("%s/%s: %v", m.BackupID, name, err))
	}
	content := map[string][]byte{}
	for _, f := range m.Files {
		b, err := r.ReadFile(m, f.Path)
		if err != nil {
			problem(f.Path, err)
			continue
		}
		content[f.Path] = b
	}
	files, more := checkContents(m, raw, content, func() decodedIndex { return readRestoreIndex(r, m.BackupID) })
	problems = append(problems, more...)
	slices.Sort(problems)
	return files, problems
}

// checkContents compares what stands in the files of a backup's folder, as far as they could be read, with the manifest and with each
// other. It calls index once.
func checkContents(m *repository.Manifest, raw []byte, content map[string][]byte, index func() decodedIndex) (files []repository.File, problems []string) {
	problem := func(name string, err error) {
		problems = append(problems, fmt.Sprintf("%s/%s: %v", m.BackupID, name, err))
	}
	if content[repository.FilesName] == nil {
		// A manifest that says something else of a file than it did is named too, not only the file.
		if err := index().checkManifest(raw); err != nil {
			problem(repository.RestoreIndexName, err)
		}
		return nil, problems
	}
	// The two lists are decoded side by side.
	decoded := make(chan decodedIndex, 1)
	go func() { decoded <- index() }()
	files, err := repository.DecodeFiles(content[repository.FilesName])
	x := <-decoded
	if err != nil {
		problem(repository.FilesName, err)
		return nil, problems
	}
	for name, archive := range map[string]string{
		component.LaunchAgents: repository.LaunchAgentsName, component.ShellConfigs: repository.ShellConfigsName,
	} {
		b, ok := content[archive]
		if !ok {
			continue
		}
		if err := checkArchive(b, filesOf(files, name)); err != nil {
			problem(archive, err)
		}
	}
	if err := x.check(m, raw, files); err != nil {
		problem(repository.RestoreIndexName, err)
	}
	return files, problems
}

// decodedIndex is a backup's restore index and its lines, or why there is none.
type decodedIndex struct {
	index *repository.RestoreIndex
	lines []byte
	err   error
}

func readRestoreIndex(r repository.Repo, id string) (d decodedIndex) {
	b, err := r.ReadSmall(id, repository.RestoreIndexName)
	if err != nil {
		return decodedIndex{err: err}
	}
	return decodeIndex(b)
}

func decodeIndex(b []byte) (d decodedIndex) {
	d.index, d.lines, d.err = repository.ScanRestoreIndex(b)
	return d
}

// check derives the index once more: a restore by the script must find what the manifest says.
func (d decodedIndex) check(m *repository.Manifest, raw []byte, files []repository.File) error {
	if d.err != nil {
		return d.err
	}
	if !repository.NewRestoreIndex(m, raw, files, originOf(m)).HasLines(d.lines) {
		return fmt.Errorf("it does not say what the manifest says: %w", repository.ErrDamaged)
	}
	return nil
}

// checkManifest finds a manifest that was changed, without the list of files.
func (d decodedIndex) checkManifest(raw []byte) error {
	if d.err != nil {
		return d.err
	}
	if !slices.ContainsFunc(d.index.Files, func(f repository.FileRef) bool {
		return f.Path == repository.ManifestName && f.SHA256 == sha256.Sum256(raw)
	}) {
		return fmt.Errorf("it was made for another manifest: %w", repository.ErrDamaged)
	}
	return nil
}

func checkRestoreIndex(r repository.Repo, m *repository.Manifest, raw []byte, files []repository.File) error {
	return readRestoreIndex(r, m.BackupID).check(m, raw, files)
}

func filesOf(files []repository.File, name string) []repository.File {
	var out []repository.File
	for _, f := range files {
		if f.Component == name {
			out = append(out, f)
		}
	}
	return out
}

// originOf returns what the system metadata in a manifest says about the places of its machine.
func originOf(m *repository.Manifest) repository.Origin {
	sys := systemOf(m)
	o := repository.Origin{Home: sys.Home, OldRoots: sys.OldRoots, Prefix: sys.HomebrewPrefix, Git: gitOf(sys.Git)}
	o.Versions, o.Pythons, o.Environments = toolsOf(m, sys)
	return o
}

// gitOf returns what the index says of the git repository; nil if there is no commit, or not everything is known.
func gitOf(s component.GitState) *repository.Git {
	if s.Problem != "" || !repository.IsCommit(s.Head) || min(s.Dirty, s.Untracked, s.Unpushed, s.Stashes) < 0 {
		return nil
	}
	g := &repository.Git{Head: s.Head, Branch: s.Branch, Changed: s.Dirty, Unknown: s.Untracked, Unpushed: s.Unpushed, Stashes: s.Stashes}
	for _, h := range s.Heads {
		if h.Name != "" && repository.IsCommit(h.Commit) {
			g.Branches = append(g.Branches, repository.GitBranch{Name: h.Name, Commit: h.Commit, Remote: h.Remote, Merge: h.Merge})
		}
	}
	for _, r := range s.Remotes {
		g.Remotes = append(g.Remotes, repository.GitRemote{Name: r.Name, URL: r.URL})
	}
	return g
}

// touches reports whether any extent lies in one of the chunks.
func touches(x repository.Extents, chunks map[int]bool) bool {
	return slices.ContainsFunc(x, func(e repository.Extent) bool { return chunks[e.Chunk] })
}

func joinProblems(p []fileProblem) string {
	var s []string
	for i, f := range p {
		if i == 5 {
			s = append(s, fmt.Sprintf("and %d more", len(p)-i))
			break
		}
		s = append(s, fmt.Sprintf("%s: %s", f.Path, f.Reason))
	}
	return strings.Join(s, "; ")
}
