package repository

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"

	"maia-dr/engine/fsx"
)

// CheckedManifest is ReadManifest for whoever deletes or publishes by what the manifest says: it has to be, to the
// byte, the one that the backup's restore index names. ErrDamaged: it is not, or one of the two cannot be read.
func (r Repo) CheckedManifest(id string) (*Manifest, []byte, error) {
	return r.checked(r.readManifest(id, r.Manifests.whole))
}

// CheckedSummary is CheckedManifest for the manifest's Summary.
func (r Repo) CheckedSummary(id string) (*Manifest, []byte, error) {
	return r.checked(r.readManifest(id, r.Manifests.summary))
}

// checked passes a manifest on if it is the one that the backup's restore index names.
func (r Repo) checked(m *Manifest, raw []byte, sum Hash, err error) (*Manifest, []byte, error) {
	if err != nil {
		return nil, nil, err
	}
	id := m.BackupID
	if err := r.AwaitReady(r.Path(id, RestoreIndexName)); err != nil {
		return nil, nil, fmt.Errorf("read restore index: %w", err)
	}
	ref, err := manifestRef(r.Path(id, RestoreIndexName))
	if err != nil {
		return nil, nil, err
	}
	if ref.SizeBytes != int64(len(raw)) || ref.SHA256 != sum {
		return nil, nil, fmt.Errorf("%s/%s is not the one that %s names: %w", id, ManifestName, RestoreIndexName, ErrDamaged)
	}
	return m, raw, nil
}

// manifestRef returns what a restore index says of the manifest. It reads no further than that line.
func manifestRef(path string) (FileRef, error) {
	fail := func(why any) (FileRef, error) {
		return FileRef{}, fmt.Errorf("read restore index %s: %v: %w", path, why, ErrDamaged)
	}
	file, err := fsx.OpenRegular(path)
	if errors.Is(err, fsx.ErrNotRegular) {
		return fail(err)
	}
	if err != nil {
		return FileRef{}, fmt.Errorf("read restore index: %w", err)
	}
	defer file.Close()
	zr, err := gzip.NewReader(bufio.NewReader(io.LimitReader(file, maxIndexFile)))
	if err != nil {
		return fail(err)
	}
	lines := bufio.NewScanner(io.LimitReader(zr, maxIndexHead))
	for n := 0; lines.Scan(); n++ {
		if n == 0 && lines.Text() != indexMagic {
			return fail("not a restore index")
		}
		kind, _, _ := bytes.Cut(lines.Bytes(), []byte(" "))
		if !slices.Contains([]string{"file", "chunk", "stream"}, string(kind)) {
			continue
		}
		f := strings.SplitN(lines.Text(), " ", 5)
		switch {
		case f[0] == "chunk" || f[0] == "stream":
			return fail("it names no manifest")
		case f[0] == "file" && len(f) == 4 && f[3] == ManifestName:
			size, err := parseCanonical(f[1])
			if err != nil {
				return fail(err)
			}
			sum, err := ParseHash(f[2])
			if err != nil {
				return fail(err)
			}
			return FileRef{Path: ManifestName, SizeBytes: size, SHA256: sum}, nil
		}
	}
	if err := lines.Err(); err != nil {
		return fail(err)
	}
	return fail("it names no manifest")
}
