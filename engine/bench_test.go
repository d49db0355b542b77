package engine_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/fixture"
)

// The benchmarks work on the full sample (1,500 files of 70 MB, a database of 348 MB) and on the small one. Each
// reports what it stored beside its time.

func benchRig(b *testing.B, size fixture.Size) *rig {
	b.Helper()
	// Not b.TempDir: with the "=" of the benchmark's name a path of it in an agent looks like the assignment of a secret.
	base, err := os.MkdirTemp("", "bench")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { remove(b, base) })
	fix, err := fixture.Make(b.Context(), fixture.Options{Base: filepath.Join(base, "mac"), Seed: 7, Size: size})
	if err != nil {
		b.Fatal(err)
	}
	r := rigOn(b, base, fix)
	r.clock = time.Now().Add(time.Hour)
	return r
}

var benchSizes = []struct {
	name string
	size fixture.Size
}{{"small", fixture.Small}, {"full", fixture.Full}}

// BenchmarkBackup measures a first backup, one without a change, and one after a day of work.
func BenchmarkBackup(b *testing.B) {
	for _, s := range benchSizes {
		b.Run("size="+s.name+"/kind=first", func(b *testing.B) {
			r := benchRig(b, s.size)
			var stored int64
			for n := 0; b.Loop(); n++ {
				r.state = filepath.Join(r.base, fmt.Sprint("state-", n))
				b.StopTimer()
				remove(b, r.repo())
				b.StartTimer()
				stored = r.backup().StoredBytes
			}
			b.ReportMetric(float64(stored)/1e6, "stored-MB")
		})
		b.Run("size="+s.name+"/kind=unchanged", func(b *testing.B) {
			r := benchRig(b, s.size)
			r.backup()
			var stored int64
			for b.Loop() {
				stored = r.backup().StoredBytes
			}
			b.ReportMetric(float64(stored)/1e6, "stored-MB")
		})
		b.Run("size="+s.name+"/kind=day", func(b *testing.B) {
			r := benchRig(b, s.size)
			r.backup()
			var stored int64
			days := 0
			for b.Loop() {
				b.StopTimer()
				days++
				r.day(days)
				b.StartTimer()
				stored += r.backup().StoredBytes
			}
			b.ReportMetric(float64(stored)/1e6/float64(days), "stored-MB/day")
		})
	}
}

// BenchmarkRead measures verifications and a restore of a backup that a week of days led to; kind=hashes is of all eight.
func BenchmarkRead(b *testing.B) {
	for _, s := range benchSizes {
		r := benchRig(b, s.size)
		r.backup()
		for n := 1; n <= 7; n++ {
			r.day(n)
			r.backup()
		}
		b.Run("size="+s.name+"/kind=verify", func(b *testing.B) {
			for b.Loop() {
				if res, err := r.engine().Verify(b.Context(), engine.VerifyOptions{}); err != nil || !res.OK() {
					b.Fatal(res, err)
				}
			}
		})
		b.Run("size="+s.name+"/kind=hashes", func(b *testing.B) {
			for b.Loop() {
				if res, err := r.engine().Verify(b.Context(), engine.VerifyOptions{All: true, HashesOnly: true}); err != nil || !res.OK() {
					b.Fatal(res, err)
				}
			}
		})
		b.Run("size="+s.name+"/kind=restore", func(b *testing.B) {
			for n := 0; b.Loop(); n++ {
				to := filepath.Join(r.base, fmt.Sprint("restored-", n))
				if res, err := r.engine().Restore(b.Context(), engine.RestoreOptions{To: to}); err != nil || len(res.Failed) > 0 {
					b.Fatal(res, err)
				}
				b.StopTimer()
				remove(b, to)
				b.StartTimer()
			}
		})
	}
}

// BenchmarkFootprint makes 23 daily backups and reports what the repository takes up then, and what a day added.
func BenchmarkFootprint(b *testing.B) {
	for _, s := range benchSizes {
		b.Run("size="+s.name+"/days=23", func(b *testing.B) {
			for b.Loop() {
				r := benchRig(b, s.size)
				first := r.backup().StoredBytes
				for n := 1; n < 23; n++ {
					r.day(n)
					r.backup()
				}
				l, err := r.engine().List()
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(l.TotalBytes)/1e6, "repository-MB")
				b.ReportMetric(float64(l.TotalBytes-first)/1e6/22, "MB/day")
				b.ReportMetric(float64(len(l.Backups)), "backups")
				b.ReportMetric(float64(countFiles(b, filepath.Join(r.repo(), "chunks"))), "chunks")
			}
		})
	}
}

// BenchmarkLive backs up while a writer commits to the ticket database with hardly a pause, restores the database, and
// requires that it is of one moment. It reports how many transactions came meanwhile, and the longest.
func BenchmarkLive(b *testing.B) {
	for _, s := range benchSizes {
		b.Run("size="+s.name, func(b *testing.B) {
			r := benchRig(b, s.size)
			ctx, stop := context.WithCancel(b.Context())
			defer stop()
			w, err := r.fix.OpenWriter(ctx)
			if err != nil {
				b.Fatal(err)
			}
			slowest := make(chan time.Duration)
			go func() {
				var longest time.Duration
				for ctx.Err() == nil {
					began := time.Now()
					if err := w.Step(ctx); err != nil && ctx.Err() == nil {
						b.Error(err)
					}
					longest = max(longest, time.Since(began))
					// Without a rest a writer never lets SQLite begin its -wal anew, backup or not.
					time.Sleep(5 * time.Millisecond)
				}
				slowest <- longest
			}()
			for n := 0; b.Loop(); n++ {
				res := r.backup()
				b.StopTimer()
				for _, warning := range res.Warnings {
					b.Errorf("%s: %s", warning.Path, warning.Text)
				}
				to := filepath.Join(r.base, fmt.Sprint("live-", n))
				if res, err := r.engine().Restore(ctx, engine.RestoreOptions{To: to, Paths: []string{fixture.TicketDB}}); err != nil || len(res.Failed)+len(res.Doubtful) > 0 {
					b.Fatal(res, err)
				}
				if err := fixture.CheckTickets(ctx, filepath.Join(to, fixture.TicketDB)); err != nil {
					b.Fatal(err)
				}
				remove(b, to)
				b.StartTimer()
			}
			b.StopTimer()
			stop()
			b.ReportMetric((<-slowest).Seconds(), "s-longest-commit")
			b.ReportMetric(float64(w.Transactions)/float64(b.N), "transactions/op")
			if err := w.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}

func countFiles(tb testing.TB, dir string) int {
	tb.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return n
}
