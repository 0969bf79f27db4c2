package main

import (
	"bytes"
	"database/sql"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// The programs that scripts use beside segue.

// fail ends a program.
func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// requestMain does an HTTP request and prints the body of the answer, or with
// -i its status and headers too: request [-i] [-H 'Name: value']... METHOD URL [FILE]
func requestMain() {
	headers := http.Header{}
	include := flag.Bool("i", false, "print the status and the headers")
	flag.Func("H", "a header", func(s string) error {
		name, value, _ := strings.Cut(s, ": ")
		headers.Add(name, value)
		return nil
	})
	flag.Parse()
	var body []byte
	if flag.NArg() > 2 {
		var err error
		if body, err = os.ReadFile(flag.Arg(2)); err != nil {
			fail(err)
		}
		headers.Set("Content-Type", "application/json")
	}
	r, err := http.NewRequest(flag.Arg(0), flag.Arg(1), bytes.NewReader(body))
	if err != nil {
		fail(err)
	}
	r.Header = headers
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		fail(err)
	}
	defer res.Body.Close()
	if *include {
		fmt.Println(res.Status)
		if err := res.Header.Write(os.Stdout); err != nil {
			fail(err)
		}
		fmt.Println()
	}
	if _, err := io.Copy(os.Stdout, res.Body); err != nil {
		fail(err)
	}
}

// openDatabase opens a SQLite file.
func openDatabase(file string) *sql.DB {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)")
	if err != nil {
		fail(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

// sqliteMain runs SQL and prints what it selects: sqlite FILE SQL
func sqliteMain() {
	db := openDatabase(os.Args[1])
	defer db.Close()
	if err := printRows(db, os.Args[2]); err != nil {
		fail(err)
	}
}

// dumpMain prints what the tables of a SQLite file hold: dump FILE
func dumpMain() {
	db := openDatabase(os.Args[1])
	defer db.Close()
	rows, err := db.Query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name")
	if err != nil {
		fail(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			fail(err)
		}
		tables = append(tables, name)
	}
	if err := rows.Err(); err != nil {
		fail(err)
	}
	for _, name := range tables {
		fmt.Println(name)
		if err := printRows(db, "SELECT * FROM "+name); err != nil {
			fail(err)
		}
	}
}

func printRows(db *sql.DB, query string) error {
	rows, err := db.Query(query)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(sql.RawBytes)
		}
		if err := rows.Scan(values...); err != nil {
			return err
		}
		for i, v := range values {
			if i > 0 {
				fmt.Print("|")
			}
			fmt.Printf("%s", *v.(*sql.RawBytes))
		}
		fmt.Println()
	}
	return rows.Err()
}

// lockMain keeps a SQLite file locked until it is interrupted: lock FILE
func lockMain() {
	db := openDatabase(os.Args[1])
	for _, statement := range []string{"PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE"} {
		if _, err := db.Exec(statement); err != nil {
			fail(err)
		}
	}
	fmt.Println("locked")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	<-stop
}
