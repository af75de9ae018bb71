//! The first start: where requests are to go and to which model, asked in a few lines. Nothing is
//! written here; Ctrl+C leaves.

use std::io::{self, BufRead as _, Write as _};
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, read};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use futures_util::future::{BoxFuture, join_all};
use quire_protocol::{clean, counted};

use crate::signals::guard_terminal;

/// How long a server on this machine has to answer.
const NEAR: Duration = Duration::from_millis(700);
/// Models that are shown at once.
const SHOWN: usize = 20;
/// What is asked where the models are not known.
const UNLISTED: &str =
    "The name of the model to use there all the same, or Enter for another endpoint: ";

/// What a first start knows.
pub struct Welcome {
    /// Endpoints that there may be.
    pub offers: Vec<Offer>,
    /// Asks an endpoint which models it has.
    pub models: Models,
}

/// Asks an endpoint which models it has.
pub type Models = Box<dyn Fn(&Choice) -> BoxFuture<'static, Listed>>;

/// The models that an endpoint has, or why they are not known.
pub type Listed = Result<Vec<String>, NoModels>;

/// Why the models of an endpoint are not known, for the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoModels {
    /// Something answers, but not with a list: whoever knows a name may go on with it.
    Unlisted(String),
    /// It cannot be used so.
    Failed(String),
}

/// An endpoint that there may be.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What it is called.
    pub title: String,
    /// What it takes to use it.
    pub takes: Takes,
}

/// What it takes to use an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing.
    Nothing,
    /// That it runs.
    Running,
    /// A key.
    Key,
}

/// An endpoint that a person chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which.
    pub place: Place,
    /// The key that the person gave.
    pub key: Option<String>,
}

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// One of the offers.
    Offered(usize),
    /// At an address that the person wrote.
    At(String),
}

/// Asks where requests are to go and to which model; none when the person leaves.
pub async fn welcome(welcome: Welcome) -> io::Result<Option<(Choice, String)>> {
    say("There is no model to use yet. Looking for servers on this machine…\n")?;
    let running = running(&welcome).await;
    let shown: Vec<usize> = (0..welcome.offers.len())
        .filter(|place| welcome.offers[*place].takes != Takes::Running || running.contains(place))
        .collect();
    loop {
        say("\nWhere are requests to go?\n")?;
        for (number, place) in shown.iter().enumerate() {
            let offer = &welcome.offers[*place];
            let key = match offer.takes {
                Takes::Key => ", with a key that you paste",
                Takes::Nothing | Takes::Running => "",
            };
            say(&format!("  {}  {}{key}\n", number + 1, clean(&offer.title)))?;
        }
        say("A number, or the address of another endpoint (Ctrl+C leaves, nothing is written): ")?;
        let Some(line) = line()? else {
            return Ok(None);
        };
        let Some(place) = place(&line, &shown) else {
            say("That is neither a number of the list nor an address.\n")?;
            continue;
        };
        let Some(choice) = with_key(place, &welcome.offers)? else {
            return Ok(None);
        };
        let (choice, listed) = models(&welcome, choice).await;
        match listed {
            Ok(models) => return Ok(model(&models)?.map(|model| (choice, model))),
            Err(NoModels::Failed(error)) => say(&format!("{}\n", clean(&error)))?,
            Err(NoModels::Unlisted(error)) => {
                say(&format!("{}\n", clean(&error)))?;
                match name(UNLISTED)? {
                    Some(other) if other.is_empty() => {}
                    named => return Ok(named.map(|name| (choice, name))),
                }
            }
        }
    }
}

/// The offers on this machine that answer, asked all at once.
async fn running(welcome: &Welcome) -> Vec<usize> {
    let near = welcome.offers.iter().enumerate();
    let near = near.filter(|(_, offer)| offer.takes == Takes::Running);
    let asked = near.map(|(place, _)| async move {
        let choice = Choice {
            place: Place::Offered(place),
            key: None,
        };
        let answer = tokio::time::timeout(NEAR, (welcome.models)(&choice)).await;
        let models = answer.ok()?.ok()?;
        // Whatever else listens there has none.
        (!models.is_empty()).then_some(place)
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// What a line means: a number of the list, or an address.
fn place(line: &str, shown: &[usize]) -> Option<Place> {
    let line = line.trim();
    if let Ok(number) = line.parse::<usize>() {
        let place = shown.get(number.checked_sub(1)?)?;
        return Some(Place::Offered(*place));
    }
    let address = line.contains(['.', ':']) && !line.contains(char::is_whitespace);
    address.then(|| Place::At(line.to_owned()))
}

/// Asks for the key where one is needed, or may be.
fn with_key(place: Place, offers: &[Offer]) -> io::Result<Option<Choice>> {
    let takes = match &place {
        Place::Offered(place) => offers
            .get(*place)
            .map_or(Takes::Nothing, |offer| offer.takes),
        Place::At(_) => Takes::Key,
    };
    if takes != Takes::Key {
        return Ok(Some(Choice { place, key: None }));
    }
    let key = secret("Its key (not shown; Enter where it needs none): ")?;
    say("\n")?;
    Ok(key.map(|key| Choice {
        place,
        key: (!key.is_empty()).then_some(key),
    }))
}

/// The models of an endpoint. An address may lack the `/v1` at its end.
async fn models(welcome: &Welcome, choice: Choice) -> (Choice, Listed) {
    let first = (welcome.models)(&choice).await;
    let Place::At(address) = &choice.place else {
        return (choice, first);
    };
    if first.as_ref().is_ok_and(|models| !models.is_empty()) {
        return (choice, first);
    }
    let longer = Choice {
        place: Place::At(format!("{}/v1", address.trim_end_matches('/'))),
        ..choice.clone()
    };
    match (welcome.models)(&longer).await {
        Ok(models) if !models.is_empty() => (longer, Ok(models)),
        Ok(_) | Err(_) => (choice, first),
    }
}

/// Asks for a name that no list has; none when the person leaves.
fn name(question: &str) -> io::Result<Option<String>> {
    say(question)?;
    Ok(line()?.map(|line| line.trim().to_owned()))
}

/// Asks which model; none when the person leaves.
fn model(models: &[String]) -> io::Result<Option<String>> {
    if models.is_empty() {
        let name = name("It lists no models. The name of the one to use: ")?;
        return Ok(name.filter(|name| !name.is_empty()));
    }
    let mut shown: Vec<&String> = models.iter().collect();
    loop {
        say(&format!(
            "\nIt has {}:\n",
            counted(shown.len() as u64, "model")
        ))?;
        for (number, name) in shown.iter().take(SHOWN).enumerate() {
            say(&format!("  {}  {}\n", number + 1, clean(name)))?;
        }
        if shown.len() > SHOWN {
            say("  … a part of its name shows fewer\n")?;
        }
        say("A number, or a name: ")?;
        let Some(line) = line()? else {
            return Ok(None);
        };
        match named(line.trim(), &shown, models) {
            Named::One(name) => return Ok(Some(name)),
            Named::Some(fewer) => shown = fewer,
            Named::None => say("No model is called so.\n")?,
        }
    }
}

/// What a line means among models.
#[derive(Debug, PartialEq, Eq)]
enum Named<'a> {
    One(String),
    Some(Vec<&'a String>),
    None,
}

fn named<'a>(line: &str, shown: &[&'a String], models: &'a [String]) -> Named<'a> {
    if let Some(name) = models.iter().find(|name| *name == line) {
        return Named::One(name.clone());
    }
    let number = line
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_sub(1));
    if let Some(name) = number.and_then(|place| shown.iter().take(SHOWN).nth(place)) {
        return Named::One((*name).clone());
    }
    let lower = line.to_lowercase();
    let fits = |name: &&String| name.to_lowercase().contains(&lower);
    let fitting: Vec<&String> = models.iter().filter(fits).collect();
    match fitting.as_slice() {
        [] => Named::None,
        [one] if !line.is_empty() => Named::One((*one).clone()),
        _ => Named::Some(fitting),
    }
}

pub(crate) fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The next line; none when there is no other.
pub(crate) fn line() -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line)?;
    Ok((read > 0).then_some(line))
}

/// Asks for a line that is not shown; none when the person leaves. The terminal stops showing keys
/// before it is asked for: whoever answers at once must not see theirs either.
fn secret(question: &str) -> io::Result<Option<String>> {
    guard_terminal()?;
    enable_raw_mode()?;
    let secret = say(question).and_then(|()| typed());
    disable_raw_mode()?;
    secret
}

fn typed() -> io::Result<Option<String>> {
    let mut secret = String::new();
    loop {
        let key = match read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => key,
            Event::Paste(text) => {
                secret.push_str(text.trim());
                continue;
            }
            _ => continue,
        };
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'd') if control => return Ok(None),
            KeyCode::Char('u') if control => secret.clear(),
            KeyCode::Enter => return Ok(Some(secret.trim().to_owned())),
            KeyCode::Char('j' | 'm') if control => return Ok(Some(secret.trim().to_owned())),
            KeyCode::Backspace => {
                secret.pop();
            }
            KeyCode::Char(char) => secret.push(char),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_addresses_and_neither() {
        let at = |address: &str| Some(Place::At(address.to_owned()));
        for (line, meant) in [
            ("1\n", Some(Place::Offered(4))),
            (" 2 ", Some(Place::Offered(7))),
            ("3", None),
            ("0", None),
            ("localhost:9000", at("localhost:9000")),
            (
                "https://llm.example.org/v1\n",
                at("https://llm.example.org/v1"),
            ),
            ("yes please.", None),
            ("", None),
        ] {
            assert_eq!(place(line, &[4, 7]), meant, "{line:?}");
        }
    }

    #[test]
    fn models_by_number_by_name_and_by_a_part_of_it() {
        let models = [
            "a/coder".to_owned(),
            "a/coder-mini".to_owned(),
            "b/chat".to_owned(),
        ];
        let shown: Vec<&String> = models.iter().collect();
        let one = |name: &str| Named::One(name.to_owned());
        assert_eq!(named("3", &shown, &models), one("b/chat"));
        assert_eq!(named("a/coder", &shown, &models), one("a/coder"));
        assert_eq!(named("CHAT", &shown, &models), one("b/chat"));
        assert_eq!(
            named("coder", &shown, &models),
            Named::Some(vec![&models[0], &models[1]])
        );
        assert_eq!(named("4", &shown, &models), Named::None);
        assert_eq!(named("2", &[&models[2]], &models), Named::None);
    }
}
