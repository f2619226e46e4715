//! The dashboard's page: its headings and empty lists, which its script fills.

use maud::{DOCTYPE, PreEscaped, html};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Which URLs are listed, and the label of each button.
const FILTERS: [(&str, &str); 5] =
    [("cached", "Cached"), ("stale", "Stale"), ("uncached", "Not cached"), ("evicted", "Evicted"), ("all", "All")];

/// The page. Important changes are announced to screen readers; the log, which changes constantly, is not.
pub(super) fn document() -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Local edge" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Local edge" }
                    span #menu hidden { label for="site" { "Site" } " " select #site {} }
                    span #address {}
                    span #live.live role="status" { "connecting" }
                }
                main {
                    section.story aria-labelledby="deploy" {
                        h2 #deploy { "Last deploy" }
                        div aria-live="polite" { p #story { "Loading." } p #stale.stale hidden {} }
                    }
                    section aria-labelledby="list" {
                        h2 #list { "URLs" }
                        div.bar {
                            div #filters role="group" aria-label="Which URLs" {
                                @for (name, label) in FILTERS {
                                    button type="button" data-show=(name) aria-pressed=(name == FILTERS[0].0) {
                                        (label) " " span.count { "0" }
                                    }
                                }
                            }
                            input #find type="search" placeholder="Find a URL" aria-label="Find a URL" autocomplete="off" spellcheck="false";
                        }
                        p #none.note role="status" {}
                        table #table role="table" {
                            thead role="rowgroup" {
                                tr role="row" {
                                    @for (name, class) in [("State", ""), ("URL", ""), ("Hits", "n"), ("Misses", "n"), ("Age", "n"), ("Size", "n")] {
                                        th class=(class) scope="col" role="columnheader" { (name) }
                                    }
                                }
                            }
                            tbody #urls role="rowgroup" {}
                        }
                        p #more.note {}
                    }
                    div.side {
                        section aria-labelledby="invalidated" {
                            h2 #invalidated { "Last invalidation" }
                            div #invalidation {}
                            details #earlier hidden { summary { "Earlier invalidations" } div #invalidations {} }
                        }
                        section aria-labelledby="past" {
                            h2 #past { "History" }
                            ol #history.plain {}
                            p #said.unseen role="status" {}
                        }
                        section aria-labelledby="happened" {
                            h2 #happened { "Activity" }
                            ol #log.plain.log {}
                        }
                    }
                }
                noscript { p { "This page needs JavaScript; its data is in state.json." } }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}
