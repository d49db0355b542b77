package engine_test

import (
	"path/filepath"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/repository"
)

// BenchmarkAnswers measures what asks and changes nothing, on the small sample after a week.
func BenchmarkAnswers(b *testing.B) {
	r := newRig(b)
	ids := []string{r.backup().BackupID}
	for n := 1; n <= 7; n++ {
		r.day(n)
		ids = append(ids, r.backup().BackupID)
	}
	to := filepath.Join(r.base, "nowhere")
	for _, q := range []struct {
		name string
		ask  func(e *engine.Engine) error
	}{
		{"status", func(e *engine.Engine) error { _, err := e.Status(); return err }},
		{"report", func(e *engine.Engine) error { _, err := e.Report(b.Context(), new(engine.Diagnosis)); return err }},
		{"list", func(e *engine.Engine) error { _, err := e.List(); return err }},
		{"show", func(e *engine.Engine) error { _, err := e.Show("latest", true); return err }},
		{"find", func(e *engine.Engine) error { _, err := e.Find("**/*.md"); return err }},
		{"diff", func(e *engine.Engine) error { _, err := e.Diff(ids[0], ids[7]); return err }},

		{"restore-plan", func(e *engine.Engine) error {
			_, err := e.Restore(b.Context(), engine.RestoreOptions{To: to, DryRun: true})
			return err
		}},
		{"prune-plan", func(e *engine.Engine) error {
			_, err := e.Prune(b.Context(), engine.PruneOptions{DryRun: true})
			return err
		}},
	} {
		b.Run("ask="+q.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := q.ask(r.engine()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReadBack reads the streams of a backup back as every run does: assembled from their chunks, each file hashed.
func BenchmarkReadBack(b *testing.B) {
	for _, s := range benchSizes {
		b.Run("size="+s.name, func(b *testing.B) {
			r := benchRig(b, s.size)
			res := r.backup()
			files, err := repository.DecodeFiles(read(b, filepath.Join(r.repo(), res.BackupID, repository.FilesName)))
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(res.SourceBytes)
			for b.Loop() {
				if err := r.engine().CheckStreams(b.Context(), r.repo(), res.Manifest, files); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
