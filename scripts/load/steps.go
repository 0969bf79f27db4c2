package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// written is the result of several writers.
type written struct {
	ids     []string
	took    []time.Duration // of each request, sorted
	elapsed time.Duration
}

// write lets writers post occurrences in parallel, until this number is accepted or
// the time is over.
func (b *bench) write(ctx context.Context, p *process, writers, most int, until time.Duration) (written, error) {
	var mu sync.Mutex
	var w written
	var next atomic.Int64
	first := b.made
	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for range writers {
		group.Go(func() error {
			writer := newWriter(p)
			for until == 0 || time.Since(start) < until {
				n := int(next.Add(1))
				if most > 0 && n > most {
					return nil
				}
				id := fmt.Sprintf("u%d", first+n)
				began := time.Now()
				refused, err := writer.post(ctx, id)
				if err != nil {
					return err
				}
				mu.Lock()
				w.ids = append(w.ids, id)
				if refused == 0 {
					w.took = append(w.took, time.Since(began))
				}
				mu.Unlock()
			}
			return nil
		})
	}
	err := group.Wait()
	w.elapsed = time.Since(start)
	b.made += int(next.Load())
	slices.Sort(w.took)
	return w, err
}

// bare measures the requests per second that the endpoint accepts directly from as
// many clients.
func (b *bench) bare(clients int, each time.Duration) float64 {
	var n atomic.Int64
	var group sync.WaitGroup
	start := time.Now()
	for range clients {
		group.Go(func() {
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
			for time.Since(start) < each {
				res, err := client.Post(b.endpoint.server.URL, "application/json", strings.NewReader(`{"event":"Account Activated","properties":{"name":"Ann Example","plan":"team"}}`))
				if err != nil {
					return
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
				n.Add(1)
			}
		})
	}
	group.Wait()
	return float64(n.Load()) / time.Since(start).Seconds()
}

// throughput measures occurrences per second with their deliveries.
func (b *bench) throughput(ctx context.Context, each time.Duration) error {
	p, err := b.serve(ctx)
	if err != nil {
		return err
	}
	if err := b.prepare(ctx, p); err != nil {
		return err
	}
	fmt.Println("| parallel writers | accepted per second | accepted and delivered per second | of bare requests | processor time each | half of the answers within | 99 of 100 within |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- |")
	for _, writers := range []int{1, 4, 16, 64} {
		bare := b.bare(writers, each/4)
		before, err := p.metric("process_cpu_seconds_total", "")
		if err != nil {
			return err
		}
		start := time.Now()
		w, err := b.write(ctx, p, writers, 0, each)
		if err != nil {
			return err
		}
		if err := p.drained(); err != nil {
			return err
		}
		all := time.Since(start)
		used, err := p.metric("process_cpu_seconds_total", "")
		if err != nil {
			return err
		}
		if lost, doubled := b.endpoint.missing(w.ids); lost+doubled > 0 {
			return fmt.Errorf("%d messages were lost and %d came twice", lost, doubled)
		}
		n := float64(len(w.ids))
		fmt.Printf("| %d | %.0f | %.0f | 1/%.0f | %.1f ms | %s | %s |\n", writers, n/w.elapsed.Seconds(), n/all.Seconds(), bare/(n/all.Seconds()), (used-before)/n*1000,
			w.took[len(w.took)/2].Round(100*time.Microsecond), w.took[len(w.took)*99/100].Round(100*time.Microsecond))
	}
	fmt.Println()
	return p.end(os.Interrupt)
}

// size measures the data file after this number of deliveries.
func (b *bench) size(ctx context.Context, deliveries int) error {
	p, err := b.serve(ctx, "--max-size", "0", "--log-level", "error")
	if err != nil {
		return err
	}
	have, err := p.metric("segue_deliveries", "delivered")
	if err != nil {
		return err
	}
	const part = 100_000
	for done := int(have); done < deliveries; done = min(deliveries, done+part) {
		if _, err := b.write(ctx, p, 16, min(part, deliveries-done), 0); err != nil {
			return err
		}
		if stat, err := os.Stat(b.data); err == nil {
			fmt.Fprintf(os.Stderr, "%d deliveries, %.0f MB\n", min(deliveries, done+part), float64(stat.Size())/1e6)
		}
	}
	if err := p.drained(); err != nil {
		return err
	}
	delivered, err := p.metric("segue_deliveries", "delivered")
	if err != nil {
		return err
	}
	memory := p.memory()
	if err := p.end(os.Interrupt); err != nil {
		return err
	}
	stat, err := os.Stat(b.data)
	if err != nil {
		return err
	}
	fmt.Printf("After %.0f deliveries the data file has %.0f MB, %.0f bytes a delivery; the platform had %d MB of memory at most.\n\n",
		delivered, float64(stat.Size())/1e6, float64(stat.Size())/delivered, memory/1e6)
	return nil
}

// crash kills a platform that has deliveries to make, and measures the next start.
func (b *bench) crash(ctx context.Context, backlog int) error {
	b.endpoint.hold()
	p, err := b.serve(ctx, "--max-size", "0", "--log-level", "error", "--queue", fmt.Sprint(2*backlog))
	if err != nil {
		return err
	}
	w, err := b.write(ctx, p, 16, backlog, 0)
	if err != nil {
		return err
	}
	if err := p.end(syscall.SIGKILL); err != nil {
		return err
	}
	b.endpoint.release()
	before := b.endpoint.total.Load()
	start := time.Now()
	if p, err = b.serve(ctx, "--max-size", "0", "--log-level", "error"); err != nil {
		return err
	}
	ready := time.Since(start)
	for b.endpoint.total.Load() == before {
		time.Sleep(time.Millisecond)
	}
	first := time.Since(start)
	if err := p.drained(); err != nil {
		return err
	}
	all := time.Since(start)
	lost, doubled := b.endpoint.missing(w.ids)
	fmt.Printf("Killed with %d deliveries to make and started again: ready after %s, the first delivery after %s, all after %s "+
		"(%.0f a second), with %d MB of memory at most; %d lost, %d came twice.\n\n", backlog, ready.Round(time.Millisecond),
		first.Round(time.Millisecond), all.Round(time.Second), float64(backlog)/all.Seconds(), p.memory()/1e6, lost, doubled)
	if lost > 0 {
		return fmt.Errorf("%d messages were lost", lost)
	}
	return p.end(os.Interrupt)
}

// retention removes all messages delivered more than a minute ago, and measures the
// file.
func (b *bench) retention(ctx context.Context) error {
	before, err := os.Stat(b.data)
	if err != nil {
		return err
	}
	time.Sleep(time.Minute + time.Second) // the shortest value of --keep
	p, err := b.serve(ctx, "--keep", "1m", "--log-level", "error")
	if err != nil {
		return err
	}
	start := time.Now()
	for {
		left, err := p.metric("segue_deliveries", "delivered")
		if err != nil {
			return err
		}
		free, err := p.metric("segue_data_bytes", "free")
		if err != nil {
			return err
		}
		if left == 0 && free < 8e6 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	took := time.Since(start)
	if err := p.end(os.Interrupt); err != nil {
		return err
	}
	after, err := os.Stat(b.data)
	if err != nil {
		return err
	}
	fmt.Printf("With --keep 1m all of that is removed within %s, and the data file has %.1f MB instead of %.0f MB.\n",
		took.Round(time.Second), float64(after.Size())/1e6, float64(before.Size())/1e6)
	return nil
}
