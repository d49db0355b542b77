package repository

import (
	"sync"
	"weak"
)

// Manifests shares decoded manifests: a run looks at each backup's several times, and after some weeks all of them together
// take half a second to decode. One is kept only as long as somebody holds it, and must not be changed. Safe for concurrent
// use; nil shares nothing.
type Manifests struct {
	byHash sync.Map // Hash of the bytes to shared
}

type shared struct{ whole, summary weak.Pointer[Manifest] }

// whole is DecodeManifest for bytes whose hash is known.
func (s *Manifests) whole(sum Hash, b []byte) (*Manifest, error) {
	if s == nil {
		return DecodeManifest(b)
	}
	if m := s.load(sum).whole.Value(); m != nil {
		return m, nil
	}
	m, err := DecodeManifest(b)
	if err != nil {
		return nil, err
	}
	known := s.load(sum)
	known.whole = weak.Make(m)
	s.byHash.Store(sum, known)
	return m, nil
}

// summary is whole for its Summary.
func (s *Manifests) summary(sum Hash, b []byte) (*Manifest, error) {
	if s == nil {
		m, err := DecodeManifest(b)
		if err != nil {
			return nil, err
		}
		return m.Summary(), nil
	}
	if m := s.load(sum).summary.Value(); m != nil {
		return m, nil
	}
	m, err := s.whole(sum, b)
	if err != nil {
		return nil, err
	}
	short := m.Summary()
	known := s.load(sum)
	known.summary = weak.Make(short)
	s.byHash.Store(sum, known)
	return short, nil
}

func (s *Manifests) load(sum Hash) shared {
	known, _ := s.byHash.Load(sum)
	sh, _ := known.(shared)
	return sh
}
