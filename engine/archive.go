package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sys/unix"

	"maia-dr/engine/component"
	"maia-dr/engine/repository"
	"maia-dr/engine/stream"
)

// maxArchived is the largest file that goes into a small archive, which is made in memory. Agents and shell files are
// a few kilobytes.
const maxArchived = 64 << 20

// archive is the small tar.gz of a component, made in memory.
type archive struct {
	body     []byte
	files    []repository.File
	contents map[string][]byte // of the files, by place
	gone     []goneEntry
	err      error
}

// goneEntry could not be read.
type goneEntry struct {
	entry  *component.Entry
	reason string
}

// beginArchives makes the small archives, beside everything else. Cancelling ctx ends it soon; end waits for that.
func (b *backup) beginArchives(ctx context.Context) (end func()) {
	b.archives = map[string]chan *archive{}
	redacted := b.seal.redacted
	var g sync.WaitGroup
	for _, name := range []string{component.LaunchAgents, component.ShellConfigs} {
		made, entries := make(chan *archive, 1), b.entries(name)
		b.archives[name] = made
		g.Go(func() {
			a := &archive{contents: map[string][]byte{}}
			a.err = a.make(ctx, entries, redacted)
			made <- a
		})
	}
	return g.Wait
}

func (a *archive) make(ctx context.Context, entries []component.Entry, redacted map[string][]byte) error {
	var out bytes.Buffer
	zw, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return err
	}
	var offset int64
	write := func(p []byte) error {
		n, err := zw.Write(p)
		offset += int64(n)
		return err
	}
	for i := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, body, err := archiveEntry(&entries[i], redacted)
		if err != nil {
			a.gone = append(a.gone, goneEntry{&entries[i], fmt.Sprintf("it could not be read: %v", err)})
			continue
		}
		header, err := stream.Header(stream.Entry{
			Type: tarType(f.Type), Path: string(f.Path), Link: string(f.Link), Mode: int64(f.Mode), Size: f.SizeBytes, ModTimeNS: f.ModTimeNS,
		})
		if err != nil {
			return err
		}
		if err := write(header); err != nil {
			return err
		}
		f.Offset = offset
		a.contents[place(f.Component, string(f.Path))] = body
		if err := write(append(body, make([]byte, stream.Padding(f.SizeBytes))...)); err != nil {
			return err
		}
		if !f.HasContent() {
			f.Offset = 0
		}
		a.files = append(a.files, f)
	}
	if err := errors.Join(write(stream.Trailer), zw.Close()); err != nil {
		return err
	}
	a.body = out.Bytes()
	return nil
}

func tarType(t string) byte {
	switch t {
	case repository.TypeDir:
		return stream.Dir
	case repository.TypeSymlink:
		return stream.Symlink
	}
	return stream.File
}

// archiveEntry reads one entry.
func archiveEntry(en *component.Entry, redacted map[string][]byte) (f repository.File, body []byte, err error) {
	f = repository.File{
		Component: en.Component, Path: repository.Name(en.Path), Mode: en.Mode, ModTimeNS: en.Stat.MTimeNS,
	}
	switch en.Kind {
	case component.Dir:
		f.Type = repository.TypeDir
		return f, nil, nil
	case component.Symlink:
		f.Type, f.Link = repository.TypeSymlink, repository.Name(en.Link)
		return f, nil, nil
	}
	if body = redacted[place(en.Component, en.Path)]; body != nil {
		sum := repository.SumHash(body)
		f.Type, f.SizeBytes, f.SHA256 = repository.TypeFile, int64(len(body)), &sum
		return f, body, nil
	}
	file, err := os.OpenFile(en.Source, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err == nil {
		defer file.Close()
		body, err = io.ReadAll(io.LimitReader(file, maxArchived+1))
	}
	if err == nil && len(body) > maxArchived {
		err = fmt.Errorf("it is larger than %d MB", maxArchived>>20)
	}
	if err != nil {
		return f, nil, err
	}
	sum := repository.SumHash(body)
	f.Type, f.SizeBytes, f.SHA256 = repository.TypeFile, int64(len(body)), &sum
	return f, body, nil
}

// checkArchive extracts a small archive to nowhere and compares every file with the list.
func checkArchive(b []byte, files []repository.File) error {
	want := map[string]*repository.File{}
	for i := range files {
		want[string(files[i].Path)] = &files[i]
	}
	zr, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("%v: %w", err, repository.ErrDamaged)
	}
	tr := tar.NewReader(zr)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%v: %w", err, repository.ErrDamaged)
		}
		name := h.Name
		if h.Typeflag == tar.TypeDir && len(name) > 1 {
			name = name[:len(name)-1]
		}
		f := want[name]
		if f == nil || tarType(f.Type) != h.Typeflag || f.SizeBytes != h.Size {
			return fmt.Errorf("%.80q does not belong into the archive: %w", h.Name, repository.ErrDamaged)
		}
		if h.Mode != int64(f.Mode) || !h.ModTime.Equal(time.Unix(0, f.ModTimeNS)) || h.Linkname != string(f.Link) {
			return fmt.Errorf("%.80q: mode, time or link in the archive is not that of the file list: %w", h.Name, repository.ErrDamaged)
		}
		delete(want, name)
		sum := sha256.New()
		if _, err := io.Copy(sum, tr); err != nil {
			return fmt.Errorf("%v: %w", err, repository.ErrDamaged)
		}
		if f.SHA256 != nil && repository.Hash(sum.Sum(nil)) != *f.SHA256 {
			return fmt.Errorf("%.80q is not what it was: %w", h.Name, repository.ErrDamaged)
		}
	}
	for name := range want {
		return fmt.Errorf("%.80q is not in the archive: %w", name, repository.ErrDamaged)
	}
	return nil
}

// readArchive returns the listed files of a small archive by name. Of an archive that holds more than the list says,
// no more than that is read: it could be a bomb.
func (v *view) readArchive(m *repository.Manifest, name string, list []repository.File) (map[string][]byte, error) {
	b, err := v.readFile(m, name)
	if err != nil {
		return nil, err
	}
	zr, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %v: %w", name, err, repository.ErrDamaged)
	}
	size := map[string]int64{}
	limit := int64(len(stream.Trailer))
	for i := range list {
		f := &list[i]
		if f.HasContent() && f.SizeBytes <= maxArchived {
			size[string(f.Path)] = f.SizeBytes
		}
		// A header takes up at most three blocks and what its long names need.
		limit += f.SizeBytes + 4*stream.TarBlock + 4*int64(len(f.Path)+len(f.Link))
	}
	out := map[string][]byte{}
	tr := tar.NewReader(io.LimitReader(zr, limit))
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %v: %w", name, err, repository.ErrDamaged)
		}
		if n, ok := size[h.Name]; !ok || h.Typeflag != tar.TypeReg || h.Size != n {
			continue
		}
		body, err := io.ReadAll(tr)
		if err != nil {
			return nil, fmt.Errorf("%s: %v: %w", name, err, repository.ErrDamaged)
		}
		out[h.Name] = body
	}
}
