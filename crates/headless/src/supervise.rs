//! Looks after agents that work elsewhere: starts, steers, answers and stops them, and stays with none.

use quire_protocol::{Answer, Client, Content, Delivery, MessageId, Op, Settings};

use crate::text::clean;
use crate::{FindError, find_session};

/// What is wanted of an agent. Ids may be cut to their start.
#[derive(Clone, Debug)]
pub enum Supervise {
    /// A new one with this task.
    Start(Box<Settings>, String),
    /// That it hears this.
    Say(String, String, Delivery),
    /// An answer to what it asks.
    Answer(String, Answer),
    /// That its turn ends now.
    Stop(String),
    /// That its turn waits after its step.
    Pause(String),
    /// That it goes on with an open turn.
    Resume(String),
}

/// Does it, and returns once it is recorded, with what there is to tell.
pub async fn supervise(client: &dyn Client, what: Supervise) -> Result<String, FindError> {
    let (id, op) = match what {
        Supervise::Start(settings, task) => {
            let session = client.start(*settings).await?;
            client.submit(&session, says(task, Delivery::Steer)).await?;
            client.close(&session).await?;
            return Ok(format!("{session}\n"));
        }
        Supervise::Answer(id, answer) => return answers(client, id, answer).await,
        Supervise::Say(id, words, delivery) => (id, says(words, delivery)),
        Supervise::Stop(id) => {
            let cause = "person".to_owned();
            (id, Op::Interrupt { cause })
        }
        Supervise::Pause(id) => (id, Op::Pause),
        Supervise::Resume(id) => (id, Op::Resume),
    };
    let session = find_session(client, &id).await?.session;
    client.submit(&session, op).await?;
    client.close(&session).await?;
    Ok(String::new())
}

/// Answers what a session asks, and says what that was.
async fn answers(client: &dyn Client, id: String, answer: Answer) -> Result<String, FindError> {
    let session = find_session(client, &id).await?.session;
    let agents = client.agents().await?;
    let agent = agents.iter().find(|agent| agent.head.session == session);
    let Some((agent, call)) = agent.and_then(|agent| Some((agent, agent.asked?))) else {
        return Err(FindError::AsksNothing(id));
    };
    let op = Op::Answer { call, answer };
    client.submit(&session, op).await?;
    client.close(&session).await?;
    Ok(format!("answered: {}\n", clean(&agent.detail)))
}

fn says(words: String, delivery: Delivery) -> Op {
    Op::Say {
        message: MessageId::new(uuid::Uuid::now_v7().to_string()),
        delivery,
        content: vec![Content::text(words)],
        effort: None,
    }
}
