// vivant-avatar, a portrait that speaks. SPDX-License-Identifier: Apache-2.0
// Made by `npm run embed` from client_web/avatar; change that, not this.
// Sources: client_web/avatar/attributes.js client_web/avatar/element.js client_web/avatar/index.js client_web/avatar/place.js client_web/avatar/styles.js client_web/avatar/surface.js client_web/avatar/vocabulary.js client_web/avatar/voice.js client_web/caption_line.js client_web/compositor.js client_web/connection.js client_web/device_words.js client_web/dom.js client_web/events.js client_web/hush.js client_web/peer.js client_web/renewal.js client_web/retry.js client_web/server.js client_web/words.js
// sha256 of them: bbe2674f0f93dbe80fd735195427fea35e70954e0660736c35248c09fe1ac171

var et=Object.defineProperty;var y=(i,t,e)=>()=>{if(e)throw e[0];try{return i&&(t=i(i=0)),t}catch(s){throw e=[s],s}};var O=(i,t)=>{for(var e in t)et(i,e,{get:t[e],enumerable:!0})};function U(i,{retryAfter:t=null,random:e=Math.random}={}){let n=Math.min(15,.5*2**(i-1))*(1-e()/4);return Math.max(n,t??0)}function d(i){return new Promise(t=>setTimeout(t,i))}var b=y(()=>{"use strict"});async function G(i){let t=Number.parseFloat(i.headers.get("Retry-After")??""),e=Number.isFinite(t)?t:null,s=await i.json().catch(()=>null),n=String(s?.error?.code??"refused"),r=String(s?.error?.message??`The server answered ${i.status}.`);return new c({status:i.status,code:n,message:r,retryAfter:e})}var c,m,st,it,v,g=y(()=>{"use strict";c=class extends Error{constructor({status:t,code:e,message:s,retryAfter:n}){super(s),this.name="ApiError",this.status=t,this.code=e,this.retryAfter=n}},m=class extends Error{constructor(t){super("The server cannot be reached.",{cause:t}),this.name="NetworkError"}},st=3e4,it=3e3,v=class{#t;token;constructor(t,e=null){this.#t=new URL(t),this.token=e}address(t){return new URL(t,this.#t)}getInfo(){return this.request("GET","v1/info")}getVoices(){return this.request("GET","v1/voices")}getPortraits(){return this.request("GET","v1/portraits")}portraitImage(t){return this.address(`v1/portraits/${encodeURIComponent(t)}/image`).href}async showPortrait(t){if(this.token===null)return this.portraitImage(t);let e=await fetch(this.portraitImage(t),{headers:this.#s});if(!e.ok)throw await G(e);return URL.createObjectURL(await e.blob())}uploadBackground(t){let e=new FormData;return e.append("image",t,"background"),this.request("POST","v1/backgrounds",e)}createSession(t){return this.request("POST","v1/sessions",JSON.stringify(t))}resumeSession(t,e){return this.request("POST",`v1/sessions/${t}/resume`,JSON.stringify({token:e}),it)}updateSession(t,e){return this.request("PATCH",`v1/sessions/${t}`,JSON.stringify(e))}sendOffer({session_id:t,token:e},s){let n={type:"offer",sdp:s,token:e};return this.request("POST",`v1/sessions/${t}/offer`,JSON.stringify(n))}async deleteSession(t){let e={method:"DELETE",keepalive:!0,headers:this.#s};await fetch(this.address(`v1/sessions/${t}`),e).catch(s=>{throw new m(s)})}get#s(){return this.token===null?{}:{Authorization:`Bearer ${this.token}`}}async request(t,e,s,n=st){let r=this.#s,o={method:t,headers:r,signal:AbortSignal.timeout(n),cache:"no-store"};s!==void 0&&(o.body=s),typeof s=="string"&&(r["Content-Type"]="application/json");let a;try{a=await fetch(this.address(e),o)}catch(u){throw new m(u)}if(!a.ok)throw await G(a);return a.status===204?null:a.json()}}});var j={};O(j,{Events:()=>C,readMessage:()=>q});function q(i){if(typeof i!="string")return null;let t;try{t=JSON.parse(i)}catch{return null}return typeof t=="object"&&t!==null&&"type"in t?t:null}var C,F=y(()=>{"use strict";C=class{roundTrip=null;opened;ended;#t;#s=performance.now();constructor(t,e,s=null){let n=new URL(t);n.protocol=n.protocol.replace("http","ws");let r=new WebSocket(n,s===null?[]:["vivant",`vivant-token.${s}`]);this.#t=r,this.opened=new Promise((o,a)=>{r.addEventListener("open",()=>o()),r.addEventListener("close",()=>a(new Error("The event line did not open.")))}),this.opened.catch(()=>{}),this.ended=new Promise(o=>{let a=null;r.addEventListener("message",p=>{let f=q(p.data);f!==null&&(f.type==="session.closed"&&(a=f.reason),this.#i(f,e))});let u=setInterval(()=>{performance.now()-this.#s>12e3&&r.close(),this.send({type:"ping",t:performance.now()})},2e3);r.addEventListener("close",()=>{clearInterval(u),o(a)})})}send(t){return this.#t.readyState!==WebSocket.OPEN?!1:(this.#t.send(JSON.stringify(t)),!0)}close(){this.#t.close()}#i(t,e){this.#s=performance.now(),t.type==="pong"?this.roundTrip=performance.now()-t.t:e(t)}}});function lt(i,t){let e=i.samples-t.samples;return e>0?(i.seconds-t.seconds)/e*1e3:null}var at,ct,ht,B,S,H=y(()=>{"use strict";b();at=48,ct=20,ht=40,B=3e3,S=class{#t;#s=0;constructor(t){this.#t=t}async hold(){let t=this.#i();await d(B),this.#e(t)}async begin(){let t=this.#i(),e=this.#n(),s=performance.now()+B,n=await this.#r(),r=!1;for(;!r&&t===this.#s&&performance.now()<s;){await d(ct);let o=lt(await this.#r(),n),a=((this.#n()??0)-(e??0)>>>0)/at;r=o!==null&&a>o+ht}this.#e(t)}#i(){return this.#t.track.enabled=!1,++this.#s}#e(t){t===this.#s&&(this.#t.track.enabled=!0)}#n(){return this.#t.getSynchronizationSources()[0]?.rtpTimestamp}async#r(){for(let t of(await this.#t.getStats()).values())if(t.type==="inbound-rtp")return{samples:t.jitterBufferEmittedCount??0,seconds:t.jitterBufferDelay??0};return{samples:0,seconds:0}}}});var W={};O(W,{Peer:()=>I});function ft(i){return i.replaceAll(`a=end-of-candidates\r
`,"")}var ut,dt,pt,I,z=y(()=>{"use strict";H();b();ut=2e3,dt=5e3,pt=16384,I=class{stream=new MediaStream;#t;#s;#i;ended;#e=null;constructor(t,{channel:e=!1}={}){this.#t=new RTCPeerConnection({iceServers:t,bundlePolicy:"max-bundle"});let s=this.#t.addTransceiver("audio",{direction:"sendrecv"});if(this.#t.addTransceiver("video",{direction:"recvonly"}),this.#i=s.sender,e){let n={ordered:!1,maxRetransmits:0};this.#e=this.#t.createDataChannel("events",n)}this.#s=new S(s.receiver),this.#t.addEventListener("track",({track:n})=>this.stream.addTrack(n)),this.ended=new Promise(n=>this.#n(n))}async open(t){let e=this.#t;await e.setLocalDescription(await e.createOffer()),await Promise.race([this.#r(),d(ut)]);let s=await t(ft(e.localDescription?.sdp??""));await e.setRemoteDescription(s),await this.#a()}async setMicrophone(t){await this.#i.replaceTrack(t)}mute(){this.#s.hold()}hush(){this.#s.begin()}sendLossy(t){return this.#e?.readyState!=="open"||this.#e.bufferedAmount>pt?!1:(this.#e.send(t),!0)}stats(){return this.#t.getStats()}close(){this.#t.close()}#n(t){let e=this.#t,s=0;e.addEventListener("connectionstatechange",()=>{clearTimeout(s);let n=e.connectionState;(n==="failed"||n==="closed")&&t(),n==="disconnected"&&(s=setTimeout(t,dt))})}#r(){let t=this.#t;return new Promise(e=>{let s=()=>t.iceGatheringState==="complete"&&e();t.addEventListener("icegatheringstatechange",s),s()})}#a(){let t=this.#t;return new Promise(e=>{let s=()=>t.connectionState==="connected"&&e();t.addEventListener("connectionstatechange",s),s()})}}});var Y={};O(Y,{renew:()=>vt});async function vt(i,t,e){let s=t.token!==void 0;if(!s&&i.token===null)return;let n=s?(t.expires_in??0)/2:0;for(;;){if(await d(1e3*n),!e())return;try{let r=await i.request("POST",`v1/sessions/${t.session_id}/tokens`);s&&(t.token=r.token),i.token!==null&&(i.token=r.token),n=r.expires_in/2}catch(r){if(r instanceof c&&r.status<500)return;n=mt}}}var mt,J=y(()=>{"use strict";b();g();mt=30});b();g();g();var nt={no_face:"Choose a picture in which the whole face can be seen.",face_too_small:"Choose a picture in which the face is larger, or move the frame close to it.",face_turned:"Choose a picture that looks towards the viewer.",mouth_covered:"Choose a picture with nothing in front of the mouth.",image_unreadable:"JPEG, PNG and WebP pictures work.",image_too_large:"Choose a smaller picture.",face_denied:"Choose a picture of somebody else."};function E(i){return i instanceof c?rt(i.code,i.message):i instanceof m?navigator.onLine?"The server cannot be reached.":"This device is offline.":"Something unexpected went wrong. Reloading the page may help."}function rt(i,t){let e=nt[i];return e===void 0?t:`${t} ${e}`}function D(i,t){let e=i===1?"You are next":`Number ${i} in line`,s="Others are with the portrait just now.";return{title:e,message:t===null?s:`${s} Your turn comes in ${ot(t)}.`}}function ot(i){if(i<45)return`about ${i} seconds`;let t=Math.round(i/60);return t===1?"about a minute":`about ${t} minutes`}var gt=15e3,wt={client:"The session was ended.",idle:"The portrait went to rest after a while without anyone speaking.",time:"The longest time for one visit is over.",lost:"The connection was lost for too long.",revoked:"The key behind this session is valid no more.",shutdown:"The server is restarting.",failed:"The session broke off on the server."},A=class{#t;#s=null;#i=null;#e=null;#n=null;#r=null;#a=null;#d="puppet";#c=!1;#l=()=>{};#u;#o;constructor(t,e={}){this.#t=t,this.#u=e,this.#o=e.server??new v(document.baseURI)}get roundTrip(){return this.#n?.roundTrip??null}get session(){return this.#s===null?null:this.#i}async stats(){return await this.#r?.stats()??null}start(){this.#c||(this.#c=!0,this.#p())}stop(){this.#c=!1,this.#l(),this.#s??=this.#e?.session_id??null,this.#e=null,this.#E()}retry(){this.#l()}send(t){return this.#n?.send(t)??!1}interrupt(){this.send({type:"interrupt"})&&this.#r?.mute()}sendLossy(t){return this.#r?.sendLossy(JSON.stringify(t))??!1}async update(t){this.#s!==null&&await this.#o.updateSession(this.#s,t)}async request(t,e,s,n){if(this.#s===null){let o="There is no connection to the portrait just now.";throw new c({status:0,code:"not_connected",message:o,retryAfter:null})}let r=s===void 0||s instanceof FormData?s:JSON.stringify(s);return this.#o.request(t,`v1/sessions/${this.#s}/${e}`,r,n)}async setMicrophone(t){this.#a=t,await this.#r?.setMicrophone(t),this.#h()}useMicrophone(t){this.#d=t,this.#a!==null&&this.#h()}#h(){this.send({type:"microphone",mode:this.#a===null?"off":this.#d})}async#p(){let t=0,e=()=>{t=0};for(;this.#c;){this.#t.onPhase({name:"connecting"});let s=await this.#f(e).catch(n=>yt(n));if(await this.#E(),!this.#c)return;t+=1,await this.#y(s,t)}}async#f(t){let[e,{Events:s},{Peer:n}]=await Promise.all([this.#t.prepare(),Promise.resolve().then(()=>(F(),j)),Promise.resolve().then(()=>(z(),W))]),r=await this.#m(e);if(this.#s=r.session_id,this.#i=r,!this.#c)return $("client","");let o=()=>{},a=new Promise(l=>o=l),u=new s(this.#o.address(`v1/sessions/${r.session_id}/events`),l=>{l.type==="session.ready"&&o(),l.type==="session.queued"&&this.#w(l.position,l.wait_s),l.type==="agent.speak_ended"&&l.interrupted&&this.#r?.hush(),this.#t.onMessage(l)},this.#o.token);if(this.#n=u,r.position!==void 0){if(this.#w(r.position,r.wait_s??null),!await Promise.race([a.then(()=>!0),u.ended.then(()=>!1)]))return this.#v(r,await u.ended);this.#t.onPhase({name:"connecting"})}let p=new n(r.ice_servers,this.#u);this.#r=p;let f=Promise.race([u.ended,p.ended.then(()=>null)]),Z=this.#b(u,p,r).then(()=>!0);if(await Promise.race([Z,f.then(()=>!1),d(gt).then(()=>!1)])){t();let l=()=>this.#i===r&&this.#r===p;return Promise.resolve().then(()=>(J(),Y)).then(({renew:tt})=>tt(this.#o,r,l)),this.#t.onPhase({name:"live",stream:p.stream}),this.#v(r,await f)}return $(null,"The picture did not arrive. A firewall may be in the way.")}async#m(t){let{join:e}=this.#u;if(e!==void 0){let{ice_servers:n}=await this.#o.getInfo();return{session_id:e,ice_servers:n}}let s=this.#e;if(s?.token!==void 0)try{return await this.#o.resumeSession(s.session_id,s.token)}catch(n){if(!(n instanceof c)||n.status===503)throw n;this.#e=null}return this.#o.createSession(t)}#v(t,e){return this.#s=null,this.#e=e===null?t:null,$(e,"The connection was lost.")}#w(t,e){t>0&&this.#t.onPhase({name:"queued",position:t,seconds:e})}async#b(t,e,s){await Promise.all([t.opened,e.open(n=>this.#o.sendOffer(s,n))]),this.#a!==null&&await this.setMicrophone(this.#a)}async#y(t,e){let s=new Promise(a=>{this.#l=a});if(t.untilAsked){this.#t.onPhase({name:"closed",message:t.message,code:t.code}),await s;return}let n=U(e,{retryAfter:t.retryAfter}),{message:r,code:o}=t;this.#t.onPhase({name:"waiting",message:r,code:o,seconds:n}),await Promise.race([s,d(n*1e3)])}async#E(){let t=this.#s;this.#n?.close(),this.#r?.close(),this.#n=this.#r=this.#s=null,t!==this.#u.join&&t!==null&&await this.#o.deleteSession(t).catch(()=>{})}};function $(i,t){return{message:i===null?t:wt[i],code:i,retryAfter:null,untilAsked:i==="idle"||i==="client"||i==="time"}}function yt(i){let t=i instanceof c?i:null;return{message:E(i),code:t?.code??null,retryAfter:t?.retryAfter??null,untilAsked:t?.code==="unauthorized"}}g();var x=class extends HTMLElement{get sessionUrl(){return this.getAttribute("session-url")??""}set sessionUrl(t){this.setAttribute("session-url",t)}get mode(){let t=this.getAttribute("mode");return t==="converse"||t==="puppet"?t:"present"}set mode(t){this.setAttribute("mode",t)}get portrait(){return this.getAttribute("portrait")??""}set portrait(t){this.setAttribute("portrait",t)}get voice(){return this.getAttribute("voice")??""}set voice(t){this.setAttribute("voice",t)}get background(){return this.getAttribute("background")??""}set background(t){this.setAttribute("background",t)}get muted(){return this.hasAttribute("muted")}set muted(t){this.toggleAttribute("muted",t)}get captions(){return this.hasAttribute("captions")}set captions(t){this.toggleAttribute("captions",t)}get autoplay(){return this.hasAttribute("autoplay")}set autoplay(t){this.toggleAttribute("autoplay",t)}};var bt=/^(.*\/)(?:v1\/sessions|view)\/([^/]+)\/?$/;function M(i,t){let e=new URL(i??"",t),[,s,n]=bt.exec(e.pathname)??[];return e.search=e.hash="",s!==void 0&&n!==void 0?(e.pathname=s,{base:e,session:decodeURIComponent(n)}):(e.pathname.endsWith("/")||(e.pathname+="/"),{base:e,session:null})}var _=class{#t;#s=null;#i="";#e=0;constructor(t){this.#t=t}add(t,e){let[s="",...n]=Tt(e),r=t===this.#s?this.#i:"",o=Et(r,s);this.#s=t,this.#r(o.length<=84?o:s),this.#n(s,n)}end({isInterrupted:t=!1}={}){clearTimeout(this.#e),t?this.clear():this.#e=setTimeout(()=>this.clear(),2500)}clear(){clearTimeout(this.#e),this.#s=null,this.#r("")}#n(t,[e,...s]){if(clearTimeout(this.#e),e===void 0)return;let n=()=>{this.#r(e),this.#n(e,s)};this.#e=setTimeout(n,t.length/17*1e3)}#r(t){this.#i=t,this.#t(t)}};function Et(i,t){let e=/[\p{L}\p{N}\p{P}]$/u.test(i)&&/^[\p{L}\p{N}\p{P}]/u.test(t),s=/^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u.test(t);return e&&!s?`${i} ${t}`:i+t}function Tt(i){let t=i.trim().split(/\s+/),e=Math.ceil(i.trim().length/84),s=Math.max(i.trim().length/e,1),n=[];for(let r of t){let o=n.at(-1),a=`${o} ${r}`;o!==void 0&&o.length<s&&a.length<=84?n[n.length-1]=a:n.push(r)}return n}var kt=new Float32Array([-1,-1,1,-1,-1,1,1,1]),St=`
  attribute vec2 corner;
  varying vec2 place; // 0..1 from the top left of the picture
  void main() {
    place = vec2(0.5 + 0.5 * corner.x, 0.5 - 0.5 * corner.y);
    gl_Position = vec4(corner, 0.0, 1.0);
  }`,At=`
  #ifdef GL_FRAGMENT_PRECISION_HIGH
  precision highp float;
  #else
  precision mediump float;
  #endif
  uniform sampler2D frame;
  uniform float row; // one row of the packed picture, 0..1
  varying vec2 place;
  void main() {
    // half a row inside, so that neither half bleeds into the other
    float y = clamp(0.5 * place.y, 0.5 * row, 0.5 - 0.5 * row);
    vec3 colour = texture2D(frame, vec2(place.x, y)).rgb;
    float matte = texture2D(frame, vec2(place.x, y + 0.5)).g;
    float share = clamp((matte - 0.03) / 0.94, 0.0, 1.0);
    gl_FragColor = vec4(share * colour, share);
  }`,L=class{onLayout=()=>{};onUnable=()=>{};#t;#s;#i=null;#e=null;constructor(t,e){this.#t=t,this.#s=e,e.addEventListener("webglcontextlost",n=>{n.preventDefault(),this.#i=null});let s=()=>t.requestVideoFrameCallback(()=>{this.#n(),s()});s()}#n(){let{videoWidth:t,videoHeight:e}=this.#t,s=e===2*t?"packed":"plain",n=s!==this.#e;this.#e=s,s==="packed"&&(this.#i??=xt(this.#s),this.#i?.(this.#t),n&&this.#i===null&&this.onUnable()),n&&this.onLayout(s)}};function xt(i){let t=i.getContext("webgl",{alpha:!0,antialias:!1,depth:!1}),e=t?.createProgram();if(!t||!e||t.isContextLost())return null;for(let[r,o]of[[t.VERTEX_SHADER,St],[t.FRAGMENT_SHADER,At]]){let a=t.createShader(r);if(!a)return null;t.shaderSource(a,o),t.compileShader(a),t.attachShader(e,a)}if(t.linkProgram(e),!t.getProgramParameter(e,t.LINK_STATUS))return null;t.useProgram(e),t.bindBuffer(t.ARRAY_BUFFER,t.createBuffer()),t.bufferData(t.ARRAY_BUFFER,kt,t.STATIC_DRAW);let s=t.getAttribLocation(e,"corner");t.enableVertexAttribArray(s),t.vertexAttribPointer(s,2,t.FLOAT,!1,0,0),t.bindTexture(t.TEXTURE_2D,t.createTexture());for(let r of[t.TEXTURE_WRAP_S,t.TEXTURE_WRAP_T])t.texParameteri(t.TEXTURE_2D,r,t.CLAMP_TO_EDGE);t.texParameteri(t.TEXTURE_2D,t.TEXTURE_MIN_FILTER,t.LINEAR);let n=t.getUniformLocation(e,"row");return r=>{let{videoWidth:o,videoHeight:a}=r;i.width!==o&&(i.width=i.height=o),t.viewport(0,0,o,o),t.uniform1f(n,1/a),t.texImage2D(t.TEXTURE_2D,0,t.RGB,t.RGB,t.UNSIGNED_BYTE,r),t.drawArrays(t.TRIANGLE_STRIP,0,4)}}function h(i,t={},...e){let s=Object.assign(document.createElement(i),t);return s.append(...e),s}function T(i,t){i.textContent!==t&&(i.textContent=t)}var V=`
:host {
  display: inline-block;
  position: relative;
  overflow: hidden;
  box-sizing: border-box;
  inline-size: var(--vivant-size, min(100%, 32rem));
  aspect-ratio: 1;
  border-radius: var(--vivant-radius, 0);
  background: var(--vivant-background, #171310);
  color: var(--vivant-ink, #f3ecdf);
  font: var(--vivant-font, 1rem/1.4 system-ui, sans-serif);
  text-align: center;
}

:host([background="transparent"]) {
  background: var(--vivant-background, transparent);
}

:host([hidden]),
[hidden] {
  display: none !important;
}

.picture {
  position: absolute;
  inset: 0;
  inline-size: 100%;
  block-size: 100%;
  object-fit: var(--vivant-fit, cover);
}

.picture.away {
  visibility: hidden;
}

.captions {
  position: absolute;
  inset-inline: 6%;
  inset-block-end: 5%;
  margin: 0 auto;
  inline-size: fit-content;
  padding: 0.25em 0.6em;
  border-radius: 0.3em;
  background: var(--vivant-caption-background, rgb(13 11 9 / 78%));
  color: var(--vivant-caption-ink, #fff);
  text-wrap: balance;
  overflow-wrap: anywhere;
}

.start {
  position: absolute;
  inset: 0;
  inline-size: 100%;
  block-size: 100%;
  display: grid;
  place-content: end center; /* below the face */
  justify-items: center;
  gap: 0.6em;
  border: 0;
  padding: 0 0 9%;
  background: linear-gradient(transparent 40%, rgb(13 11 9 / 55%));
  color: #fff;
  font: inherit;
  cursor: pointer;
}

.disc {
  display: grid;
  place-content: center;
  inline-size: 4em;
  block-size: 4em;
  border-radius: 50%;
  background: var(--vivant-accent, #d9b97c);
  color: var(--vivant-on-accent, #1a140b);
  box-shadow: 0 0.3em 1.2em rgb(0 0 0 / 45%);
  transition: transform 0.15s;
}

.start:hover .disc {
  transform: scale(1.06);
}

.disc::before {
  content: "";
  border-block: 0.75em solid transparent;
  border-inline-start: 1.2em solid currentcolor;
  margin-inline-start: 0.3em;
}

.words {
  padding: 0.15em 0.7em;
  border-radius: 0.3em;
  background: rgb(13 11 9 / 72%);
}

.notice {
  position: absolute;
  inset: 0;
  display: grid;
  place-content: center;
  justify-items: center;
  gap: 0.75em;
  padding: 8%;
  background: rgb(13 11 9 / 72%);
  color: #fff;
}

.notice p {
  margin: 0;
}

.retry {
  min-block-size: 2.75em;
  padding: 0 1.2em;
  border: 1px solid currentcolor;
  border-radius: 0.4em;
  background: none;
  color: inherit;
  font: inherit;
  cursor: pointer;
}

:focus-visible {
  outline: 3px solid var(--vivant-accent, #d9b97c);
  outline-offset: -5px;
}

@media (prefers-reduced-motion: reduce) {
  .disc {
    transition: none;
  }
}
`;var X=null,P=class{onStart=()=>{};onRetry=()=>{};onUnable=()=>{};captions=new _(t=>this.#v(t));#t=h("img",{className:"picture",alt:"",hidden:!0});#s=h("video",{className:"picture away",playsInline:!0});#i=h("canvas",{className:"picture away"});#e=h("p",{className:"captions",hidden:!0});#n=h("button",{className:"start",type:"button"});#r=h("slot",{name:"start"},"Start");#a=h("slot",{name:"sound"},"Start with sound");#d=h("p");#c=h("p");#l=h("button",{className:"retry",type:"button"});#u=h("div",{className:"notice",hidden:!0},this.#d,this.#c,this.#l);#o="plain";#h=!1;#p=!0;#f=!1;constructor(t){X??=_t(),t.adoptedStyleSheets=[X];let e=h("span",{className:"disc"});e.setAttribute("aria-hidden","true");let s=h("span",{className:"words"},this.#r,this.#a);this.#n.append(e,s),this.#d.setAttribute("role","status"),w(this.#t,"picture still"),w(this.#s,"picture video"),w(this.#i,"picture canvas"),w(this.#e,"captions"),w(this.#n,"start"),w(this.#u,"notice"),w(this.#l,"retry"),t.append(this.#t,this.#s,this.#i,this.#e,this.#u,this.#n),this.#n.addEventListener("click",()=>this.onStart()),this.#l.addEventListener("click",()=>this.onRetry()),this.#t.addEventListener("load",()=>this.#t.hidden=!1);let n=new L(this.#s,this.#i);n.onLayout=r=>{this.#o=r,this.#m()},n.onUnable=()=>this.onUnable()}showStill(t){this.#t.src!==t&&(this.#t.src=t)}describe(t){this.#s.setAttribute("aria-label",t),this.#i.setAttribute("aria-label",t),this.#i.setAttribute("role","img")}offerStart(){this.#r.hidden=!1,this.#a.hidden=!0,this.#n.hidden=!1}withdrawStart(){this.#n.hidden=!0}play(t){this.#u.hidden=!0,this.#s.srcObject=t,this.#s.requestVideoFrameCallback(()=>{this.#h=!0,this.#m()}),this.listen()}async listen(){let t=this.#s;if(t.srcObject!==null){this.#n.hidden=!0,t.muted=!this.#p;try{await t.play()}catch(e){if(!(e instanceof DOMException&&e.name==="NotAllowedError"))return;this.#r.hidden=!0,this.#a.hidden=!1,this.#n.hidden=!1,t.muted=!0,await t.play()}}}clear(){this.#h=!1,this.#s.srcObject=null,this.#m(),this.captions.clear()}mute(t){this.#p=!t,t?this.#s.muted=!0:this.#h&&this.listen()}caption(t){this.#f=t,this.#e.hidden=!t||this.#e.textContent===""}notify(t){this.#u.hidden=t===null,t!==null&&(T(this.#d,t.title??t.message),T(this.#c,t.title===void 0?"":t.message),this.#l.hidden=t.action===void 0,T(this.#l,t.action??""))}#m(){let t=this.#o==="packed";this.#i.classList.toggle("away",!this.#h||!t),this.#s.classList.toggle("away",!this.#h||t),this.#t.classList.toggle("away",this.#h)}#v(t){T(this.#e,t.trim()),this.#e.hidden=!this.#f||t.trim()===""}};function w(i,t){i.setAttribute("part",t)}function _t(){let i=new CSSStyleSheet;return i.replaceSync(V),i}var K={"session.queued":"vivant-queued","session.ready":"vivant-ready","session.state_updated":"vivant-state","session.expiring":"vivant-expiring","session.closed":"vivant-closed","agent.speak_started":"vivant-speak-started","agent.speak_ended":"vivant-speak-ended","agent.reply.delta":"vivant-reply","subtitle.delta":"vivant-caption","user.transcript":"vivant-transcript","user.speech_started":"vivant-user-speech-started","user.speech_stopped":"vivant-user-speech-stopped","brain.tool_call":"vivant-tool-call","brain.failed":"vivant-error",warning:"vivant-warning",error:"vivant-error"};g();function Q(i,t){if(!window.isSecureContext){let s=`${location.port?`:${location.port}`:""}`;return`The browser opens the ${t} only on secure pages. Open this page by https, or as http://localhost${s} on the computer that runs it.`}switch(i instanceof DOMException?i.name:""){case"NotAllowedError":return`The ${t} is blocked for this page. Allow it in the address bar's site settings, then try again.`;case"NotFoundError":case"OverconstrainedError":return`No ${t} was found. Connect one, then try again.`;case"NotReadableError":case"AbortError":return`The ${t} is in use by another program. Close that program, then try again.`;default:return`The ${t} did not open. Check that it works in another program, then try again.`}}var R=class{onLost=()=>{};#t=null;get isOpen(){return this.#t!==null}async open(){this.close();let t;try{t=await navigator.mediaDevices.getUserMedia({audio:{echoCancellation:!0,noiseSuppression:!0,autoGainControl:!0,channelCount:1}})}catch(s){let n=Q(s,"microphone");throw new c({status:0,code:"microphone",message:n,retryAfter:null})}let[e]=t.getAudioTracks();if(e===void 0)throw new Error("getUserMedia gave no sound");return e.addEventListener("ended",()=>this.onLost()),this.#t=t,e}close(){for(let t of this.#t?.getTracks()??[])t.stop();this.#t=null}};var Lt=new URL("..",import.meta.url).href,N=class extends x{static observedAttributes=["session-url","mode","portrait","voice","background","muted","captions"];#t=new P(this.attachShadow({mode:"open"}));#s=this.attachInternals();#i=new R;#e=null;#n="idle";#r="idle";#a=!1;#d=[];#c=null;#l=()=>this.#e?.stop();#u=t=>{t.persisted&&this.#e!==null&&this.#w()};#o=()=>this.#e?.retry();constructor(){super(),this.#t.onStart=()=>{this.#f()},this.#t.onRetry=()=>this.#e?.retry(),this.#t.onUnable=()=>this.#g("vivant-warning",{type:"warning",code:"no_webgl",message:"This browser has no WebGL, so the background cannot be transparent."}),this.#i.onLost=()=>{this.stopMicrophone()}}connectedCallback(){addEventListener("pagehide",this.#l),addEventListener("pageshow",this.#u),addEventListener("online",this.#o),this.#e===null&&(this.#T("idle"),this.#y(),this.autoplay?this.#f():this.#t.offerStart())}disconnectedCallback(){removeEventListener("pagehide",this.#l),removeEventListener("pageshow",this.#u),removeEventListener("online",this.#o),queueMicrotask(()=>{this.isConnected||this.close()})}attributeChangedCallback(t,e,s){e!==s&&(t==="muted"?this.#t.mute(s!==null):t==="captions"?this.#t.caption(s!==null):this.#e===null?this.#y():t==="session-url"?this.#w():t==="mode"?this.#S(this.#R(e)):s!==null&&this.#S(this.#e.update({[t]:s})))}get token(){return this.#c}set token(t){t!==this.#c&&(this.#c=t,this.#e===null?this.#y():this.#w())}get phase(){return this.#n}get state(){return this.#r}get sessionId(){return this.#e?.session?.session_id??null}get microphone(){return this.#i.isOpen}async start(){if(!this.isConnected)throw k("not_connected","The avatar is not in the page.");if(this.#n==="live")return;let t=new Promise((e,s)=>this.#d.push({resolve:e,reject:s}));this.#e===null?this.#m():this.#e.retry(),await t}close(){let t=this.#e;if(this.#e=null,t===null)return;t.stop(),this.#i.close(),this.#t.clear(),this.#t.notify(null),this.#t.offerStart(),this.#T("idle"),this.#A("idle");let e=this.#d.splice(0);for(let{reject:s}of e)s(k("closed","The avatar was closed."))}async speak(t,e={}){let s=await this.#p();if(typeof t=="string"){let{utterance:n}=await s.request("POST","speak",{text:t,...e});return n}this.#k({type:"speak.start",...e});for await(let n of t)n!==""&&this.#k({type:"speak.delta",text:n});this.#k({type:"speak.end"})}async say(t){let e=await this.#p(),{turn:s}=await e.request("POST","say",{text:t});return s}interrupt(){this.#e?.interrupt()}async gesture(t,e={}){return(await(await this.#p()).request("POST","gesture",{name:t,...e})).media_time}async update(t){await(await this.#p()).update(t)}motion(t,e={}){return this.#e?.sendLossy({type:"motion",coefficients:t,...e})??!1}send(t){return this.#e?.send(t)??!1}async startMicrophone(){let t=await this.#p(),e=await this.#i.open();t.useMicrophone(this.#h),await t.setMicrophone(e)}async stopMicrophone(){this.#i.close(),await this.#e?.setMicrophone(null)}get#h(){return this.mode==="converse"?"listen":"puppet"}async#p(){if(await this.start(),this.#e===null)throw k("closed","The avatar was closed.");return this.#e}async#f(){this.#n==="live"?await this.#t.listen():await this.start().catch(()=>{})}#m(){let t;try{t=M(this.getAttribute("session-url"),this.#v())}catch{this.#N("bad_request",`session-url is no address: '${this.sessionUrl}'.`);return}let e=new v(t.base,this.#c),s=t.session;this.#t.withdrawStart();let n=new A({prepare:async()=>s===null?this.#b():{},onPhase:r=>this.#e===n&&this.#_(r),onMessage:r=>this.#e===n&&this.#P(r)},{server:e,channel:!0,...s!==null&&{join:s}});this.#e=n,n.start()}#v(){return this.hasAttribute("session-url")?document.baseURI:Lt}#w(){this.close(),this.#f()}#b(){let{portrait:t,voice:e,background:s,mode:n}=this;return{...t&&{portrait:t},...e&&{voice:e},...s&&{background:s},...n==="converse"&&{mode:n}}}#y(){this.#a||!this.isConnected||(this.#a=!0,queueMicrotask(()=>{this.#a=!1,this.#E()}))}async#E(){try{let{base:t,session:e}=M(this.getAttribute("session-url"),this.#v()),s=new v(t,this.#c),r=(e===null?this.portrait:(await s.request("GET",`v1/sessions/${e}`)).portrait)||(await s.getInfo()).default_portrait;this.#t.showStill(await s.showPortrait(r))}catch(t){this.#e===null&&this.#t.notify({message:E(t)})}}#_(t){if(t.name==="live"){this.#t.play(t.stream),this.#T("live"),this.#e?.useMicrophone(this.#h),this.#e?.session?.token===void 0&&this.#L();for(let{resolve:n}of this.#d.splice(0))n();return}this.#t.clear(),this.#A("idle"),t.name==="queued"&&this.#t.notify(D(t.position,t.seconds)),t.name==="waiting"&&this.#t.notify({message:t.message,action:"Try now"}),t.name==="closed"&&this.#t.notify({message:t.message,action:"Start again"}),t.name==="connecting"&&this.#n==="idle"&&this.#t.notify(null);let{name:e,...s}=t;this.#T(e,s),t.name==="waiting"&&this.#g("vivant-error",{type:"error",code:t.code??"not_connected",message:t.message})}#L(){let{mode:t,...e}=this.#b();Object.keys(e).length>0&&this.#S(this.#e?.update(e))}#P(t){switch(t.type){case"session.ready":this.#t.describe(`${t.portrait}, live`);break;case"session.state_updated":this.#A(t.state);break;case"agent.speak_ended":this.#t.captions.end({isInterrupted:t.interrupted});break;case"subtitle.delta":this.#t.captions.add(t.utterance,t.text);break}let e=K[t.type];e!==void 0&&this.#g(e,t),this.#g("vivant-message",t)}async#R(t){this.#e?.useMicrophone(this.#h);let e=t==="converse",s=this.mode==="converse";e===s||this.sessionId===null||await this.#e?.request("PUT","brain",s?{}:{brain:"off"})}#k(t){if(!this.send(t))throw k("not_connected","The connection was lost while speaking.")}async#S(t){try{await t}catch(e){let s=e instanceof c?e.code:"not_connected";this.#g("vivant-error",{type:"error",code:s,message:E(e)})}}#N(t,e){this.#t.notify({message:e}),this.#g("vivant-error",{type:"error",code:t,message:e});for(let{reject:s}of this.#d.splice(0))s(k(t,e))}#T(t,e={}){this.#x(this.#n,t),this.#n=t,this.#g("vivant-phase",{type:"phase",phase:t,...e})}#A(t){this.#x(this.#r,t),this.#r=t}#x(t,e){this.#s.states.delete(t),e!=="idle"&&this.#s.states.add(e)}#g(t,e){this.dispatchEvent(new CustomEvent(t,{detail:e,bubbles:!0,composed:!0}))}};function k(i,t){return new c({status:0,code:i,message:t,retryAfter:null})}g();var Pt=N;customElements.get("vivant-avatar")||customElements.define("vivant-avatar",Pt);export{c as ApiError,m as NetworkError,N as VivantAvatar};
